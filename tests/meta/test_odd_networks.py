"""Networks whose forwards estimators fail on, or that hide something from them."""

import copy
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from l2rw_ray.errors import InputError, NonFiniteError, UnsupportedModelError
from l2rw_ray.meta import ReweightedStep, example_scores
from tests.meta.networks import relative_error

INPUTS, WIDTH, CLASSES = 6, 8, 4
TRAIN, META = 6, 4
Pair = tuple[Tensor, Tensor]
ESTIMATORS = ("auto", "ghost", "forward_mode", "second_order", "per_example", "finite_difference")


class _Network(nn.Module):
    """Two layers, and a function of (network, inputs) that may do anything with them."""

    def __init__(self, change: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.head = nn.Linear(INPUTS, WIDTH), nn.Linear(WIDTH, CLASSES)
        if change is _checkpointed:
            self.norm = nn.BatchNorm1d(WIDTH)
        self.double()
        self.held, self.change = [self.first.weight, self.first.bias], change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self, x)

    def body(self, x: Tensor) -> Tensor:
        return torch.tanh(self.first(x))


def _batches() -> tuple[Pair, Pair]:
    generator = torch.Generator().manual_seed(1)

    def made(size: int) -> Pair:
        x = torch.randn(size, INPUTS, generator=generator, dtype=torch.float64)
        return x, torch.randint(CLASSES, (size,), generator=generator)

    return made(TRAIN), made(META)


def _losses(model: nn.Module, batch: Pair) -> Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1], reduction="none")


def _seed() -> None:
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002 the global generator is what is tested
    torch.manual_seed(2)


def _true_scores(network: nn.Module, losses: Callable[[nn.Module, Pair], Tensor] = _losses) -> Tensor:
    """Scores by the network's own parameters, which a copy of it would not have all hooks of."""
    trained, (train, meta) = [p for p in network.parameters() if p.requires_grad], _batches()

    def rows(batch: Pair, parts: Callable[[Tensor], list[Tensor]]) -> list[Tensor]:
        _seed()
        found = []
        for part in parts(losses(network, batch)):
            slopes = torch.autograd.grad(
                part, trained, retain_graph=True, materialize_grads=True, allow_unused=True
            )
            found.append(torch.cat([slope.flatten() for slope in slopes]))
        return found

    (direction,) = rows(meta, lambda losses_M: [losses_M.mean()])
    return torch.stack(rows(train, list)) @ direction


def _scores(network: nn.Module, estimator: str = "auto", **options: Any) -> Tensor:
    train, meta = _batches()
    _seed()
    return example_scores(
        network, train_batch=train, meta_batch=meta, estimator=estimator, **{"losses": _losses, **options}
    )


def _python_draws(network: Any, x: Tensor) -> Tensor:
    return network.head(network.body(x) * (0.5 + random.random()))


def _numpy_draws(network: Any, x: Tensor) -> Tensor:
    drawn = np.random.rand(WIDTH)  # noqa: NPY002 as networks do
    return network.head(network.body(x) * torch.from_numpy(drawn))


@pytest.mark.parametrize("change", [_python_draws, _numpy_draws])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_draws_from_python_and_numpy_are_replayed(change: Any, estimator: str) -> None:
    found = _scores(_Network(change), estimator)
    assert relative_error(found, _true_scores(_Network(change))) < 1e-6
    network, plain, (train, meta) = _Network(change), _Network(change), _batches()
    step = ReweightedStep(
        network, torch.optim.SGD(network.parameters(), lr=0.1), losses=_losses, estimator=estimator
    )
    _seed()
    result = step(train, meta)
    drawn = random.random(), np.random.rand()  # noqa: NPY002 as networks do
    _seed()
    losses = _losses(plain, train)
    assert drawn == (random.random(), np.random.rand()), "a step draws what a plain step draws"  # noqa: NPY002
    torch.testing.assert_close(result.losses, losses.detach(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_forwards_that_do_not_repeat_themselves_are_refused(estimator: str) -> None:
    generator = torch.Generator().manual_seed(0)

    def change(network: Any, x: Tensor) -> Tensor:
        return network.head(network.body(x) * torch.rand(WIDTH, generator=generator, dtype=x.dtype))

    with pytest.raises(InputError, match="'_Network': two forwards of one batch on the same random numbers"):
        _scores(_Network(change), estimator)


def _through_a_list(network: Any, x: Tensor) -> Tensor:
    return network.head(torch.tanh(functional.linear(x, *network.held)))


def test_parameters_that_are_held_elsewhere_too_are_seen() -> None:
    network = _Network(_through_a_list)
    assert relative_error(_scores(network), _true_scores(network)) < 1e-12
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with pytest.raises(InputError, match=r"model = 'first\.\w+': its forward holds the tensor itself"):
        _scores(network, lookahead="sgd", optimizer=optimizer)


def test_hooks_of_parameters_are_respected() -> None:
    network = _Network(lambda network, x: network.head(network.body(x)))
    without = _true_scores(network)
    network.first.weight.register_hook(lambda gradient: 0.1 * gradient)
    expected = _true_scores(network)
    assert relative_error(without, expected) > 0.1
    assert relative_error(_scores(network), expected) < 1e-12
    with pytest.raises(UnsupportedModelError, match="differ from those of plain autograd"):
        _scores(network, "ghost")
    assert all(parameter.grad is None for parameter in network.parameters())


def _checkpointed(network: Any, x: Tensor) -> Tensor:
    return network.head(checkpoint(lambda h: network.norm(network.body(h)), x, use_reentrant=False))


@pytest.mark.parametrize("estimator", ["auto", "second_order", "per_example", "finite_difference"])
def test_checkpoints_that_write_buffers_write_none_of_a_probe(estimator: str) -> None:
    network, (train, meta) = _Network(_checkpointed), _batches()
    before = copy.deepcopy(network.state_dict())
    _scores(network, estimator)
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    step = ReweightedStep(
        network, torch.optim.SGD(network.parameters(), lr=0.1), losses=_losses, estimator=estimator
    )
    step(train, meta)
    assert network.norm.num_batches_tracked == 2, "as a plain step: once forward, once backward"


def _of_known_size(network: Any, x: Tensor) -> Tensor:
    if len(x) not in (TRAIN, META):
        raise ValueError(f"{len(x)} examples\nare too many")
    return network.head(network.body(x))


def _slope_inside(network: Any, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    h = network.body(x)
    return network.head(h) + torch.autograd.grad(h.sum(), x, create_graph=True)[0][:, :CLASSES]


def _mapped(network: Any, x: Tensor) -> Tensor:
    return torch.func.vmap(lambda row: network.head(network.body(row)))(x)


@pytest.mark.parametrize("change", [_of_known_size, _slope_inside, _mapped])
def test_an_estimator_that_fails_is_not_used(change: Any) -> None:
    network = _Network(change)
    expected, failures = _true_scores(network), 0
    assert relative_error(_scores(network), expected) < 1e-12
    for estimator in ESTIMATORS:
        try:
            found = _scores(network, estimator)
        except UnsupportedModelError as refused:
            lines = str(refused).splitlines()
            failures += len(lines) == 1 and "it fails where plain autograd does not" in lines[0]
        else:
            assert relative_error(found, expected) < 1e-6
    assert failures or change is _of_known_size, "ghost can do with one batch at a time"


def test_failures_of_the_network_itself_stay_what_they_are() -> None:
    def change(network: Any, x: Tensor) -> Tensor:
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        _scores(_Network(change))


def _first_is(value: float) -> Callable[[nn.Module, Pair], Tensor]:
    """Losses that are not finite for one example, and larger, in batches of the train batch's size alone."""

    def losses(model: nn.Module, batch: Pair) -> Tensor:
        found = _losses(model, batch)
        if len(found) != TRAIN:
            return found
        first = found[:1] * value if math.isnan(value) else torch.full_like(found[:1], value)
        return torch.cat([first, 2 * found[1:]])

    return losses


def test_scores_beside_an_infinite_loss_are_compared() -> None:
    network, losses = _Network(lambda network, x: network.head(network.body(x))), _first_is(torch.inf)
    assert relative_error(_scores(network, losses=losses), _true_scores(network, losses)) < 1e-12


@pytest.mark.parametrize("estimator", ["auto", "forward_mode"])
def test_a_loss_that_is_no_number_leaves_no_score_uncompared(estimator: str) -> None:
    network, losses = _Network(lambda network, x: network.head(network.body(x))), _first_is(torch.nan)
    if estimator == "auto":
        found, expected = _scores(network, losses=losses), _true_scores(network, losses)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12, equal_nan=True)
        assert found[0].isnan()
    else:
        with pytest.raises(UnsupportedModelError, match="gradients are not finite: nothing can be compared"):
            _scores(network, estimator, losses=losses)
    step = ReweightedStep(
        network, torch.optim.SGD(network.parameters(), lr=0.1), losses=losses, estimator=estimator
    )
    with pytest.raises(NonFiniteError, match="non-finite scores at step 0"):
        step(*_batches())


def test_complex_parameters_are_refused() -> None:
    network = nn.Linear(INPUTS, CLASSES, dtype=torch.complex128)
    with pytest.raises(
        InputError, match="model = 'weight': it is complex; train its real and imaginary parts"
    ):
        _scores(network)
