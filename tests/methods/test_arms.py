"""Every arm steps, learns, and goes on from its state; each is the arm it says it is."""

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from l2rw_ray.config import TrialConfig
from l2rw_ray.config.custom import IMPORT_PATH
from l2rw_ray.config.data import DigitsData
from l2rw_ray.config.method import Method
from l2rw_ray.config.variants import variants_of
from l2rw_ray.data import Batch, MetaSampler, Splits, epoch_batches, load_source, make_splits
from l2rw_ray.methods import TrainingContext, build_arm
from l2rw_ray.methods.registry import ARMS
from l2rw_ray.models import build_model

CONFIGS = {
    name: TypeAdapter(Method).validate_python({"name": name}) for name in ("uniform", "random", "l2rw")
}


@pytest.fixture(scope="module")
def splits() -> Splits:
    config = DigitsData(source="digits", train_size=60, meta_per_class=2)
    return make_splits(load_source(config), config, seed=0)


def _context(splits: Splits) -> TrainingContext:
    torch.manual_seed(0)
    model = build_model("mlp", (1, 8, 8), 10)
    return TrainingContext(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        loss_fn=nn.CrossEntropyLoss(reduction="none"),
        meta=MetaSampler(splits.meta, None, seed=0),
        train=splits.train,
        classes=10,
        epochs=8,
        batch_size=20,
        seed=0,
        restart=lambda: None,
    )


def _steps(splits: Splits, epochs: range) -> list[tuple[Batch, int]]:
    return [(batch, epoch) for epoch in epochs for batch in epoch_batches(splits.train, 20, 0, epoch)]


def test_every_configured_arm_is_registered_once() -> None:
    configured = variants_of(TrialConfig, "method").classes.keys() - {IMPORT_PATH}
    assert ARMS.names() == tuple(sorted(configured))
    assert ARMS.names() == tuple(sorted([*CONFIGS, "heteroscedastic"])), "the last has tests of its own"
    with pytest.raises(ValueError, match="registered twice"):
        ARMS.register("l2rw")(lambda config, context: None)


@pytest.mark.parametrize("name", CONFIGS)
def test_arm_learns_and_goes_on_from_its_state(name: str, splits: Splits) -> None:
    context, twin = _context(splits), _context(splits)
    arm, first = build_arm(CONFIGS[name], context), build_arm(CONFIGS[name], twin)
    losses = [
        arm.step(batch, number, epoch) for number, (batch, epoch) in enumerate(_steps(splits, range(8)))
    ]
    assert losses[-1].loss < losses[0].loss
    assert (losses[0].weights_B is None) == (name == "uniform")
    middle = len(losses) // 2
    for number, (batch, epoch) in enumerate(_steps(splits, range(4))):
        first.step(batch, number, epoch)
    second = build_arm(CONFIGS[name], twin)
    second.load_state_dict(first.state_dict())
    for number, (batch, epoch) in enumerate(_steps(splits, range(4, 8)), start=middle):
        second.step(batch, number, epoch)
    for parameter, other in zip(context.model.parameters(), twin.model.parameters(), strict=True):
        assert torch.equal(parameter, other)


def test_uniform_arm_is_plain_training(splits: Splits) -> None:
    context, plain = _context(splits), _context(splits)
    arm = build_arm(CONFIGS["uniform"], context)
    for number, (batch, epoch) in enumerate(_steps(splits, range(2))):
        arm.step(batch, number, epoch)
        plain.optimizer.zero_grad()
        nn.functional.cross_entropy(plain.model(batch.x), batch.y).backward()
        plain.optimizer.step()
    for parameter, other in zip(context.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(parameter, other)


def test_random_arm_weighs_by_rectified_gaussians(splits: Splits) -> None:
    arm = build_arm(CONFIGS["random"], _context(splits))
    weights = [arm.step(batch, 0, epoch).weights_B for batch, epoch in _steps(splits, range(40))]
    assert all(weight.sum().item() == pytest.approx(1) for weight in weights)
    together = torch.cat(weights)
    assert together.eq(0).double().mean().item() == pytest.approx(0.5, abs=0.04)
    positive = together[together > 0] * 20
    # of a half-normal: variance over squared mean is π/2 − 1
    assert (positive.var() / positive.mean() ** 2).item() == pytest.approx(torch.pi / 2 - 1, abs=0.1)
