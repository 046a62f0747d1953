"""Gradient accumulation and clipping, and which parameters are stepped on."""

import copy

import pytest
import torch
from torch import nn

from l2rw_ray.errors import InputError
from l2rw_ray.meta import ReweightedStep, example_weights
from l2rw_ray.meta.update import WeightedUpdate
from tests.meta.networks import LOSS, batch, make_case

ESTIMATORS = ("ghost", "forward_mode", "finite_difference", "second_order")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_accumulated_and_clipped_gradients_by_hand(estimator: str) -> None:
    case = make_case("lenet")
    twin = copy.deepcopy(case.network)
    optimizer = torch.optim.SGD(case.network.parameters(), lr=0.1)
    step = ReweightedStep(
        case.network, optimizer, LOSS, estimator=estimator, accumulation_steps=2, max_grad_norm=0.05
    )
    batches = [batch(9), batch(9)]
    results = [step(train, case.meta) for train in batches]
    for train, result in zip(batches, results, strict=True):
        ((result.weights * LOSS(twin(train[0]), train[1])).sum() / 2).backward()
    norm = nn.utils.clip_grad_norm_(twin.parameters(), 0.05)
    assert norm > 0.05, "nothing was clipped: the comparison says nothing"
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    torch.testing.assert_close(case.network.state_dict(), twin.state_dict(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_flushed_step_averages_over_the_calls_that_came(estimator: str) -> None:
    case = make_case("lenet")
    twin = copy.deepcopy(case.network)
    optimizer = torch.optim.SGD(case.network.parameters(), lr=0.1)
    step = ReweightedStep(case.network, optimizer, LOSS, estimator=estimator, accumulation_steps=4)
    batches = [batch(9), batch(9)]
    first = step(batches[0], case.meta)
    with pytest.raises(InputError, match="pass flush=True to the call before"):
        step.state_dict()
    second = step(batches[1], case.meta, flush=True)
    assert step.state_dict()["steps"] == 2
    for train, result in zip(batches, (first, second), strict=True):
        ((result.weights * LOSS(twin(train[0]), train[1])).sum() / 2).backward()
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    torch.testing.assert_close(case.network.state_dict(), twin.state_dict(), rtol=1e-9, atol=1e-12)


def test_an_optimizer_that_lacks_a_parameter_is_refused() -> None:
    network = make_case("mlp").network
    partial = torch.optim.SGD(list(network.parameters())[1:], lr=0.1)
    with pytest.raises(InputError, match=r"optimizer = 'SGD': 1.weight is not in it; .* freeze this one"):
        ReweightedStep(network, partial, LOSS)


def test_what_is_no_optimizer_of_gradients_is_refused() -> None:
    network = make_case("mlp").network
    with pytest.raises(InputError, match="optimizer = 'str': no optimizer"):
        ReweightedStep(network, "adam", LOSS)
    with pytest.raises(InputError, match="optimizer = None: nothing can be stepped"):
        ReweightedStep(network, None, LOSS)(batch(4), batch(3))
    with pytest.raises(InputError, match="optimizer = 'LBFGS': it evaluates the loss several times"):
        ReweightedStep(network, torch.optim.LBFGS(network.parameters()), LOSS)


def test_no_parameter_is_stepped_on_twice() -> None:
    network = make_case("mlp").network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with pytest.raises(InputError, match=r"1.weight would be stepped on twice; give each parameter to one"):
        ReweightedStep(network, [optimizer, torch.optim.AdamW(network[1].parameters())], LOSS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": 3}, "estimator = 'int': no estimator; use one of auto"),
        ({"max_error": "0.1"}, "max_error = '0.1': no relative error"),
        ({"loss_fn": 3}, "loss_fn = 'int': no function"),
        ({"replicas": 3}, "replicas = 'int': no Replicas"),
        ({"scaler": 3}, "scaler = 'int': no GradScaler"),
        ({"timer": 3}, "timer = 'int': cannot be called"),
    ],
)
def test_options_of_another_type_are_one_line(options: dict, message: str) -> None:
    case = make_case("mlp")
    optimizer = torch.optim.SGD(case.network.parameters(), lr=0.1)
    with pytest.raises(InputError, match=message):
        ReweightedStep(case.network, optimizer, **{"loss_fn": LOSS, **options})


def test_what_leaves_no_gradient_is_an_error() -> None:
    case = make_case("mlp")
    step = ReweightedStep(case.network, torch.optim.SGD(case.network.parameters(), lr=0.1), LOSS)
    with torch.inference_mode(), pytest.raises(InputError, match=r"torch.inference_mode = 'enabled'"):
        step(case.train, case.meta)
    optimizer = torch.optim.SGD(case.network.parameters(), lr=0.1)
    detached = ReweightedStep(case.network, optimizer, lambda output, y: LOSS(output.detach(), y))
    with pytest.raises(InputError, match="they do not depend on any trained parameter"):
        detached(case.train, case.meta)


def test_a_backward_after_the_parameters_have_changed_is_an_error() -> None:
    case = make_case("mlp")
    scored = ReweightedStep(case.network, None, LOSS).score(case.train, case.meta)
    with torch.no_grad():
        case.network[1].weight.mul_(2)
    with pytest.raises(InputError, match="have changed since it was scored; score the batch again"):
        scored.backward()


@pytest.mark.parametrize("is_pair", [True, False])
def test_a_backward_after_the_batch_has_changed_is_an_error(is_pair: bool) -> None:
    case = make_case("mlp")
    by_losses = {"losses": lambda model, batch: LOSS(model(batch[0]), batch[1])}
    step = ReweightedStep(case.network, None, **({"loss_fn": LOSS} if is_pair else by_losses))
    x = case.train[0].clone()
    scored = step.score((x, case.train[1]), case.meta)
    x.copy_(x.flip(0))  # as where a loader fills the same memory again
    with pytest.raises(InputError, match="have changed since it was scored; score the batch again"):
        scored.backward()


def test_state_of_other_options_is_refused() -> None:
    network = make_case("mlp").network

    def step(**options) -> ReweightedStep:
        return ReweightedStep(network, torch.optim.SGD(network.parameters(), lr=0.1), LOSS, **options)

    with pytest.raises(InputError, match="'held' is missing"):
        step(update_every=2).load_state_dict(step().state_dict())
    with pytest.raises(InputError, match="'smoothed' is not kept"):
        step().load_state_dict(step(score_momentum=0.5).state_dict())


@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
def test_a_step_that_overflows_moves_none_of_several_optimisers(max_grad_norm: float | None) -> None:
    network = make_case("mlp").network.float()
    before = [parameter.detach().clone() for parameter in network.parameters()]
    half = len(before) // 2
    parts = list(network.parameters())[:half], list(network.parameters())[half:]
    optimizers = [torch.optim.SGD(part, lr=0.1, momentum=0.9, weight_decay=0.1) for part in parts]
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    update = WeightedUpdate(network, optimizers, LOSS, max_grad_norm=max_grad_norm, scaler=scaler)
    x, y = (each.float() if each.is_floating_point() else each for each in make_case("mlp").train)
    for value in (torch.inf, 0.0):
        handle = parts[1][0].register_hook(lambda gradient, value=value: gradient + value)
        with update.micro_batch():
            update.update((x, y), torch.full((len(x),), 1 / len(x)), 1.0)
        handle.remove()
        is_moved = [
            not torch.equal(one, other) for one, other in zip(network.parameters(), before, strict=True)
        ]
        assert all(is_moved) if value == 0 else not any(is_moved)
        assert scaler.get_scale() == 2.0
    assert all(parameter.isfinite().all() for parameter in network.parameters())


def test_weights_of_broken_scores_are_broken() -> None:
    assert example_weights(torch.tensor([1.0, torch.nan])).isnan().all()
