"""What Accelerate and Lightning make of optimisers and models, given to the step itself."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from transformers import BatchEncoding

from l2rw_ray.errors import InputError
from l2rw_ray.meta import ReweightedStep
from l2rw_ray.meta.lookahead import unwrapped
from tests.loops.tiny import META_SET, TRAIN_SET, BagOfWords, losses

BATCH, META_BATCH = (torch.utils.data.default_collate(examples[:6]) for examples in (TRAIN_SET, META_SET))


@pytest.fixture
def prepare() -> Iterator[Any]:
    """Prepares a model and its optimiser, by an Accelerator with options of its own."""

    def prepared(model: nn.Module, **options: Any) -> tuple[nn.Module, Optimizer]:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        return Accelerator(cpu=True, **options).prepare(model, _adamw(model))

    yield prepared
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def _model() -> nn.Module:
    torch.manual_seed(0)
    return BagOfWords().double()


def _adamw(model: nn.Module) -> Optimizer:
    return AdamW(model.parameters(), lr=0.1)


@pytest.mark.parametrize("lookahead", ["zero", "optimizer"])
def test_prepared_optimiser_steps_as_its_own_does(prepare, lookahead: str) -> None:
    plain, prepared = _model(), _model()
    steps = [
        ReweightedStep(plain, _adamw(plain), losses=losses, lookahead=lookahead),
        ReweightedStep(*prepare(prepared), losses=losses, lookahead=lookahead),
    ]
    start = [parameter.clone() for parameter in plain.parameters()]
    for _ in range(3):
        for step in steps:
            assert not step(BATCH, META_BATCH).skipped
    for before, left, right in zip(start, plain.parameters(), prepared.parameters(), strict=True):
        assert torch.equal(left, right)
        assert not torch.equal(left, before)


def test_lightnings_optimiser_is_looked_into() -> None:
    model = _model()
    own = SGD(model.parameters(), lr=0.1)
    assert unwrapped(LightningOptimizer(own)) is own
    ReweightedStep(model, LightningOptimizer(own), losses=losses, lookahead="optimizer")


def test_wrappers_that_may_step_otherwise_are_not_looked_into() -> None:
    model = _model()
    wrapper = _adamw(model)
    wrapper.optimizer = SGD(model.parameters(), lr=0.1)
    assert unwrapped(wrapper) is wrapper


def test_optimiser_that_accumulates_by_itself_is_refused(prepare) -> None:
    step = ReweightedStep(*prepare(_model(), gradient_accumulation_steps=2), losses=losses)
    with pytest.raises(InputError, match="steps once in 2 calls"):
        step(BATCH, META_BATCH)


def test_optimiser_with_a_scaler_is_refused(prepare) -> None:
    model, optimizer = prepare(_model())
    optimizer.scaler = torch.amp.GradScaler("cpu")
    with pytest.raises(InputError, match="wants gradients that its scaler has scaled"):
        ReweightedStep(model, optimizer, losses=losses)(BATCH, META_BATCH)


def test_tokenizers_batches_are_scored(prepare) -> None:
    step = ReweightedStep(_model(), None, losses=losses)
    expected = step.score(BATCH, META_BATCH)
    found = step.score(BatchEncoding(BATCH), BatchEncoding(META_BATCH))
    assert torch.equal(found.scores, expected.scores)


@pytest.mark.parametrize("build", [_model, lambda: torch.compile(_model(), backend="eager")])
def test_float16_with_a_scaler(build) -> None:
    model = build().float()
    optimizer, scaler = _adamw(model), torch.amp.GradScaler("cpu", init_scale=1024.0)
    step = ReweightedStep(model, None, losses=losses)
    before = [parameter.clone() for parameter in model.parameters()]
    for _ in range(3):
        with torch.autocast("cpu", torch.float16):
            scored = step.score(BATCH, META_BATCH)
        scored.backward(scaler=scaler)
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        assert scored.certificate.is_valid
    assert scaler.get_scale() == 1024.0, "a gradient was not finite"
    assert not any(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))
