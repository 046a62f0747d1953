"""Scoring a batch, and leaving its backward and the optimiser's step to the caller."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from l2rw_ray.errors import InputError
from l2rw_ray.meta import ReweightedStep, example_scores
from tests.meta.networks import LOSS, Case, batch, make_case

ESTIMATORS = ["ghost", "forward_mode"]


def _gradients(network: nn.Module) -> list[Tensor | None]:
    return [parameter.grad for parameter in network.parameters()]


def _harmful(case: Case) -> tuple[Tensor, Tensor]:
    """The examples that no step should be made on."""
    harmful = example_scores(case.network, LOSS, case.train, case.meta) < 0
    assert harmful.any()
    return case.train[0][harmful], case.train[1][harmful]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("own", [False, True])
def test_backward_adds_the_weighted_gradient(estimator: str, own: bool) -> None:
    case = make_case("mlp")
    plain = copy.deepcopy(case.network)
    scored = ReweightedStep(case.network, None, LOSS, estimator=estimator).score(case.train, case.meta)
    weights = torch.randn(9, dtype=torch.float64) if own else scored.weights
    expected = (weights * LOSS(plain(case.train[0]), case.train[1])).sum()
    expected.backward()
    for parameter in case.network.parameters():
        parameter.grad = torch.ones_like(parameter)
    loss = scored.backward(weights if own else None)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    for found, wanted in zip(_gradients(case.network), _gradients(plain), strict=True):
        torch.testing.assert_close(found, 1 + wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_backward_without_weights_leaves_no_gradient(estimator: str) -> None:
    case = make_case("mlp")
    step = ReweightedStep(case.network, None, LOSS, estimator=estimator)
    scored = step.score(_harmful(case), case.meta)
    assert scored.skipped
    assert scored.backward() == 0
    assert _gradients(case.network) == [None] * len(list(case.network.parameters()))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_own_weights_count_where_the_step_found_none(estimator: str) -> None:
    case = make_case("mlp")
    train = _harmful(case)
    scored = ReweightedStep(case.network, None, LOSS, estimator=estimator).score(train, case.meta)
    loss = scored.backward(torch.ones_like(scored.weights))
    assert loss == scored.losses.sum()
    assert all(gradient is not None for gradient in _gradients(case.network))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_scaler_scales_the_gradient_and_not_the_loss(estimator: str) -> None:
    case = make_case("mlp")
    scaled = copy.deepcopy(case.network)
    scaler = GradScaler("cpu", init_scale=8.0)
    optimizer = torch.optim.SGD(scaled.parameters(), lr=0.1)
    for train in (case.train, _harmful(case)):
        losses = [
            ReweightedStep(network, None, LOSS, estimator=estimator)
            .score(train, case.meta)
            .backward(scaler=used)
            for network, used in ((case.network, None), (scaled, scaler))
        ]
        assert losses[0] == losses[1]
        for found, wanted in zip(_gradients(scaled), _gradients(case.network), strict=True):
            assert found is not None, "a scaler wants gradients"
            assert torch.equal(found, torch.zeros_like(found) if wanted is None else 8 * wanted)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        case.network.zero_grad()
        scaled.load_state_dict(case.network.state_dict())


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_backward_is_for_once(estimator: str) -> None:
    case = make_case("mlp")
    scored = ReweightedStep(case.network, None, LOSS, estimator=estimator).score(case.train, case.meta)
    with pytest.raises(InputError, match=r"weights = \[8\]"):
        scored.backward(torch.ones(8))
    scored.backward()
    with pytest.raises(InputError, match="backward = 'called again'"):
        scored.backward()


@pytest.mark.parametrize(
    "options", [{"update_every": 2}, {"accumulation_steps": 2}, {"max_grad_norm": 1.0}], ids=str
)
def test_options_of_the_optimisers_step_want_one(options) -> None:
    with pytest.raises(InputError, match=f"{next(iter(options))} = .*without an optimizer"):
        ReweightedStep(make_case("mlp").network, None, LOSS, **options)


def test_a_step_without_an_optimiser_is_refused() -> None:
    case = make_case("mlp")
    with pytest.raises(InputError, match="call score and step"):
        ReweightedStep(case.network, None, LOSS)(case.train, case.meta)


@pytest.mark.parametrize("called", [True, False])
def test_several_optimisers_share_the_parameters(called: bool) -> None:
    """Muon for the matrices and AdamW for the rest, against a loop of plain autograd."""
    case = make_case("mlp")
    plain = copy.deepcopy(case.network)
    optimizers, plain_ones = _muon_and_adamw(case.network), _muon_and_adamw(plain)
    step = ReweightedStep(case.network, optimizers if called else None, LOSS)
    start = copy.deepcopy(plain.state_dict())
    for _ in range(5):
        train = batch(9)
        positive = example_scores(plain, LOSS, train, case.meta).clamp_min(0)
        if called:
            step(train, case.meta)
        else:
            step.score(train, case.meta).backward()
            _step(optimizers)
        if positive.any():
            (positive / positive.sum() * LOSS(plain(train[0]), train[1])).sum().backward()
            _step(plain_ones)
    for (name, found), wanted in zip(case.network.named_parameters(), plain.parameters(), strict=True):
        # Muon's iterations are made in bfloat16, which enlarges rounding
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5)
        assert (found - start[name]).norm() > 1e-3


def _muon_and_adamw(network: nn.Module) -> list[torch.optim.Optimizer]:
    matrices = [parameter for parameter in network.parameters() if parameter.ndim == 2]
    others = [parameter for parameter in network.parameters() if parameter.ndim != 2]
    return [torch.optim.Muon(matrices, lr=0.01), torch.optim.AdamW(others, lr=0.01)]


def _step(optimizers: list[torch.optim.Optimizer]) -> None:
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
