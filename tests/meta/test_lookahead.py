"""Each lookahead equals differentiating through a step of torch's own optimiser."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from l2rw_ray.errors import InputError
from l2rw_ray.meta import example_scores
from tests.meta.networks import LOSS, Case, batch, make_case, relative_error

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "decay": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "dampening": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.4, weight_decay=0.1),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-3),
    "adam_decay": lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-3, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, eps=1e-3, weight_decay=0.1),
    "maximize": lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-3, weight_decay=0.1, maximize=True),
    "groups": lambda p: torch.optim.SGD(
        [{"params": p[:1], "lr": 0.3}, {"params": p[1:]}], lr=0.1, momentum=0.5
    ),
}


def _prepared(make: Callable[..., torch.optim.Optimizer], steps: int) -> tuple[Case, torch.optim.Optimizer]:
    """A small smooth network whose optimiser has made some steps."""
    case = make_case("mlp", train_size=5, meta_size=4)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 10)).double()
    optimizer = make(list(network.parameters()))
    for _ in range(steps):
        optimizer.zero_grad()
        x, y = batch(8)
        LOSS(network(x), y).mean().backward()
        optimizer.step()
    optimizer.zero_grad()
    return Case(network, case.train, case.meta), optimizer


def _slopes(case: Case, optimizer: torch.optim.Optimizer, epsilon_B: Tensor, width: float = 1e-4) -> Tensor:
    """−∂L_meta(θ̂(ε))/∂ε_i by central differences through the real optimiser, on copies."""

    def meta_loss(epsilon: Tensor) -> Tensor:
        network, stepper = copy.deepcopy((case.network, optimizer))
        loss = (epsilon * LOSS(network(case.train[0]), case.train[1])).sum()
        for parameter, gradient in zip(
            network.parameters(), torch.autograd.grad(loss, list(network.parameters())), strict=True
        ):
            parameter.grad = gradient
        stepper.step()
        return LOSS(network(case.meta[0]), case.meta[1]).mean().detach()

    def slope(index: int) -> Tensor:
        unit = torch.zeros_like(epsilon_B)
        unit[index] = width
        near = meta_loss(epsilon_B + unit) - meta_loss(epsilon_B - unit)
        far = meta_loss(epsilon_B + 2 * unit) - meta_loss(epsilon_B - 2 * unit)
        return (8 * near - far) / (12 * width)

    return -torch.stack([slope(index) for index in range(len(epsilon_B))])


SHARP = ("adam", "adam_decay", "adamw", "maximize")
"""Their first step has a root that bends too sharply at zero for central differences."""


@pytest.mark.parametrize(
    ("name", "steps", "at"),
    [
        (name, steps, at)
        for name in OPTIMIZERS
        for steps in (0, 3)
        for at in ("zero", "elsewhere")
        if not (name in SHARP and steps == 0 and at == "zero")
    ],
)
def test_equals_the_real_optimiser(name: str, steps: int, at: str) -> None:
    case, optimizer = _prepared(OPTIMIZERS[name], steps)
    size = len(case.train[1])
    epsilon_B = torch.full((size,), 0.3).double() if at == "elsewhere" else None
    start_B = torch.zeros(size, dtype=torch.float64) if epsilon_B is None else epsilon_B
    expected = _slopes(case, optimizer, start_B)
    for estimator in ("ghost", "forward_mode", "second_order"):
        found = example_scores(
            case.network,
            LOSS,
            case.train,
            case.meta,
            estimator=estimator,
            lookahead="optimizer",
            optimizer=optimizer,
            epsilon_B=epsilon_B,
        )
        assert relative_error(found, expected) < 1e-6, estimator


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_at_its_first_step(name: str) -> None:
    """With no moments and no gradient the update is g/(|g| + eps): its slope at zero is 1/eps."""
    case, optimizer = _prepared(OPTIMIZERS[name], steps=0)
    plain = example_scores(case.network, LOSS, case.train, case.meta)
    found = example_scores(
        case.network, LOSS, case.train, case.meta, lookahead="optimizer", optimizer=optimizer
    )
    if name == "adam":
        assert relative_error(found, plain * 0.01 / 1e-3) < 1e-9
    else:
        assert relative_error(found, plain * 0.01 / 1e-3) < 0.05, "decay moves the point a little"


@pytest.mark.parametrize("estimator", ["ghost", "forward_mode", "second_order"])
def test_sgd_is_a_plain_step_at_the_rate_of_any_optimiser(estimator: str) -> None:
    case, optimizer = _prepared(OPTIMIZERS["adamw"], steps=3)
    plain = torch.optim.SGD(case.network.parameters(), lr=optimizer.param_groups[0]["lr"])
    epsilon_B = torch.full((5,), 0.3).double()
    found = example_scores(
        case.network,
        LOSS,
        case.train,
        case.meta,
        estimator=estimator,
        lookahead="sgd",
        optimizer=optimizer,
        epsilon_B=epsilon_B,
    )
    assert relative_error(found, _slopes(case, plain, epsilon_B)) < 1e-6


def test_what_has_no_lookahead_is_refused() -> None:
    case, optimizer = _prepared(OPTIMIZERS["sgd"], steps=0)

    def scores(**options) -> Tensor:
        return example_scores(case.network, LOSS, case.train, case.meta, **options)

    with pytest.raises(InputError, match="lookahead = 'one': unknown; use zero, sgd or optimizer"):
        scores(lookahead="one")
    with pytest.raises(InputError, match="lookahead = 'optimizer': no optimizer is given"):
        scores(lookahead="optimizer")
    with pytest.raises(InputError, match="lookahead = 'zero': it has no learning rate"):
        scores(epsilon_B=torch.ones(5))
    with pytest.raises(InputError, match="optimizer = 'RMSprop': no lookahead rule; use SGD, Adam, AdamW"):
        scores(lookahead="optimizer", optimizer=torch.optim.RMSprop(case.network.parameters()))
    amsgrad = torch.optim.Adam(case.network.parameters(), amsgrad=True)
    with pytest.raises(InputError, match="optimizer = 'amsgrad=True'"):
        scores(lookahead="optimizer", optimizer=amsgrad)
    partial = torch.optim.SGD([case.network[1].weight, *case.network[3].parameters()])
    with pytest.raises(InputError, match=r"optimizer = 'SGD': 1\.bias is not in it"):
        scores(lookahead="optimizer", optimizer=partial)
    assert optimizer.state == {}
