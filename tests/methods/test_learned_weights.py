"""Learned weights equal double backward through the lookahead, on any ranks, and go on from their state."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from l2rw_ray.data import Batch, rng_for
from l2rw_ray.errors import DataError, NonFiniteError
from l2rw_ray.methods import TrainingContext
from tests.gloo_ranks import run_on_ranks
from tests.methods.learned_cases import (
    BATCH,
    CASES,
    LOSS,
    OPTIMIZERS,
    PARALLEL,
    STEPS,
    batch_of,
    make_context,
    make_method,
    run_rank,
    run_steps,
)

Named = dict[str, Tensor]
CLOSE = {"rtol": 1e-8, "atol": 1e-10}


class Reference:
    """Shu et al. 2019 by double backward, with SGD and Adam written out."""

    def __init__(self, method: dict[str, Any], optimizer: str, module: nn.Module) -> None:
        self.method, self.options = method, OPTIMIZERS[optimizer]
        self.context = make_context(optimizer)
        self.net, self.vnet = self.context.model, copy.deepcopy(module)
        self.theta: Named = {name: p.detach() for name, p in self.net.named_parameters()}
        self.phi: Named = {name: p.detach() for name, p in self.vnet.named_parameters()}
        self.velocity: Named = {}
        self.moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in self.phi.items()}
        self.steps = 0

    def losses(self, theta: Named, x: Tensor, y: Tensor) -> Tensor:
        return LOSS(functional_call(self.net, theta, (x,)), y)

    def weights(self, phi: Named, losses_B: Tensor, batch: Batch) -> Tensor:
        known = losses_B.detach().unsqueeze(1)
        if self.method["name"] == "weight_model":
            known = self.context.train.weight_features[batch.index].double()
        values_B = functional_call(self.vnet, phi, (known,)).squeeze(1)
        return values_B / values_B.sum()

    def meta_loss(self, phi: Named, batch: Batch) -> Tensor:
        """At the parameters that a step on the weights of φ leads to."""
        theta = {name: value.clone().requires_grad_() for name, value in self.theta.items()}
        losses_B = self.losses(theta, batch.x, batch.y)
        weights_B = self.weights(phi, losses_B, batch)
        if self.method.get("lookahead") == "zero":  # the derivative at 0, along the weights
            (slope_B,) = self.slopes_at_zero(batch)
            return (slope_B * weights_B).sum()
        loss = (weights_B * losses_B).sum()
        gradient = torch.autograd.grad(loss, tuple(theta.values()), create_graph=True)
        with_memory = self.method.get("lookahead") == "optimizer"
        ahead = self.stepped(dict(zip(theta, gradient, strict=True)), with_memory=with_memory)[0]
        return self.losses(ahead, *self.context.meta.batch(0)).mean()

    def slopes_at_zero(self, batch: Batch) -> tuple[Tensor, ...]:
        theta = {name: value.clone().requires_grad_() for name, value in self.theta.items()}
        weights_B = torch.zeros(BATCH, dtype=torch.float64, requires_grad=True)
        loss = (weights_B * self.losses(theta, batch.x, batch.y)).sum()
        gradient = torch.autograd.grad(loss, tuple(theta.values()), create_graph=True)
        ahead = self.stepped(dict(zip(theta, gradient, strict=True)), with_memory=False)[0]
        return torch.autograd.grad(self.losses(ahead, *self.context.meta.batch(0)).mean(), weights_B)

    def stepped(self, gradient: Named, *, with_memory: bool) -> tuple[Named, Named]:
        """θ and velocity after a step of SGD; without memory it is a plain one."""
        decay = self.options.get("weight_decay", 0.0) if with_memory else 0.0
        momentum = self.options.get("momentum", 0.0) if with_memory else 0.0
        velocity = {
            name: gradient[name] + decay * value + momentum * self.velocity.get(name, torch.zeros(()))
            for name, value in self.theta.items()
        }
        return {n: value - self.options["lr"] * velocity[n] for n, value in self.theta.items()}, velocity

    def phi_gradient(self, batch: Batch) -> Named:
        phi = {name: value.clone().requires_grad_() for name, value in self.phi.items()}
        parts = torch.autograd.grad(self.meta_loss(phi, batch), tuple(phi.values()))
        return dict(zip(phi, parts, strict=True))

    def step(self, batch: Batch) -> Tensor:
        gradient = self.phi_gradient(batch)
        self.steps += 1
        for name, value in self.phi.items():
            whole = gradient[name] + 1e-4 * value
            first = 0.9 * self.moments[name][0] + 0.1 * whole
            second = 0.999 * self.moments[name][1] + 0.001 * whole.square()
            self.moments[name] = first, second
            root = (second / (1 - 0.999**self.steps)).sqrt() + 1e-8
            self.phi[name] = value - 1e-3 * first / (1 - 0.9**self.steps) / root
        theta = {name: value.clone().requires_grad_() for name, value in self.theta.items()}
        losses_B = self.losses(theta, batch.x, batch.y)
        weights_B = self.weights(self.phi, losses_B, batch).detach()
        parts = torch.autograd.grad((weights_B * losses_B).sum(), tuple(theta.values()))
        self.theta, self.velocity = self.stepped(dict(zip(theta, parts, strict=True)), with_memory=True)
        return weights_B


def _assert_close(module: nn.Module, expected: Named) -> None:
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name].detach(), **CLOSE)


@pytest.mark.parametrize("estimator", ["ghost", "forward_mode", "second_order"])
@pytest.mark.parametrize("lookahead", ["sgd", "optimizer", "zero"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ["meta_weight_net", "weight_model"])
def test_equals_double_backward(name: str, optimizer: str, lookahead: str, estimator: str) -> None:
    method = {"name": name, "lookahead": lookahead, "estimator": estimator}
    context = make_context(optimizer)
    built = make_method(method, context)
    reference = Reference(method, optimizer, built._network.module)
    start = {name: p.detach().clone() for name, p in built._network.module.named_parameters()}
    for number in range(3):
        outcome = built.step(batch_of(context, number), number, 0)
        expected_B = reference.step(batch_of(context, number))
        torch.testing.assert_close(outcome.weights_B, expected_B, **CLOSE)
        _assert_close(built._network.module, reference.phi)
        _assert_close(context.model, reference.theta)
    moved = [(p - start[name]).abs().max() for name, p in built._network.module.named_parameters()]
    assert min(moved) > 1e-3, "φ has not moved: the comparison says nothing"


@pytest.mark.parametrize("lookahead", ["sgd", "optimizer"])
@pytest.mark.parametrize("name", ["meta_weight_net", "weight_model"])
def test_gradient_is_that_of_the_meta_loss(name: str, lookahead: str) -> None:
    """Against central differences in φ, through a step of the real optimiser where that is looked through."""
    context = make_context("momentum")
    method = make_method({"name": name, "lookahead": lookahead, "estimator": "ghost", "hidden": [6]}, context)
    run_steps(method, context, range(2))
    batch, module = batch_of(context, 2), copy.deepcopy(method._network.module)
    meta_loss = _meta_loss(context, batch, module, name, lookahead)
    expected = []
    for parameter in module.parameters():
        flat = parameter.detach().view(-1)
        for place in range(len(flat)):
            values = []
            for change in (1e-4, -1e-4):
                flat[place] += change
                values.append(meta_loss())
                flat[place] -= change
            expected.append((values[0] - values[1]) / 2e-4)
    method.step(batch, 2, 0)
    found = torch.cat([parameter.grad.view(-1) for parameter in method._network.module.parameters()])
    expected_P = torch.stack(expected)
    assert expected_P.norm() > 1e-5
    torch.testing.assert_close(found, expected_P, rtol=1e-5, atol=1e-6 * expected_P.norm().item())


def _meta_loss(
    context: TrainingContext, batch: Batch, module: nn.Module, name: str, lookahead: str
) -> Callable[[], Tensor]:
    """The meta loss after a step on the weights that the module gives."""

    def meta_loss() -> Tensor:
        network, stepper = copy.deepcopy((context.model, context.optimizer))
        if lookahead == "sgd":
            stepper = torch.optim.SGD(network.parameters(), lr=OPTIMIZERS["momentum"]["lr"])
        losses_B = LOSS(network(batch.x), batch.y)
        known = losses_B.detach().unsqueeze(1)
        if name == "weight_model":
            known = context.train.weight_features[batch.index].double()
        values_B = module(known).detach().squeeze(1)
        stepper.zero_grad()
        (values_B / values_B.sum() * losses_B).sum().backward()
        stepper.step()
        x, y = context.meta.batch(0)
        return LOSS(network(x), y).mean().detach()

    return meta_loss


def test_weights_between_updates_are_those_of_the_present_network() -> None:
    context = make_context("momentum")
    method = make_method({"name": "meta_weight_net", "update_every": 2}, context)
    method.step(batch_of(context, 0), 0, 0)
    before, batch = method._network.state_dict()["module"], batch_of(context, 1)
    losses_B = LOSS(context.model(batch.x), batch.y).detach()
    outcome = method.step(batch, 1, 0)
    values_B = method._network(losses_B.unsqueeze(1)).detach()
    torch.testing.assert_close(outcome.weights_B, values_B / values_B.sum())
    for name, value in method._network.state_dict()["module"].items():
        assert torch.equal(value, before[name])
    assert outcome.direction_cosine is None
    assert method.step(batch_of(context, 2), 2, 0).direction_cosine is not None


@pytest.mark.parametrize("method", PARALLEL)
def test_goes_on_exactly_from_a_state_that_stays_as_it_was(method: dict[str, Any]) -> None:
    context, twin = make_context("momentum"), make_context("momentum")
    whole = run_steps(make_method(method, context), context, range(STEPS))
    first = make_method(method, twin)
    run_steps(first, twin, range(3))
    state = first.state_dict()
    kept, model, optimizer = copy.deepcopy((state, twin.model.state_dict(), twin.optimizer.state_dict()))
    run_steps(first, twin, range(3, STEPS))
    for _ in range(2):
        twin.model.load_state_dict(model)
        twin.optimizer.load_state_dict(copy.deepcopy(optimizer))
        second = make_method(method, twin)
        second.load_state_dict(state)
        for again, outcome in zip(run_steps(second, twin, range(3, STEPS)), whole[3:], strict=True):
            assert torch.equal(again.weights_B, outcome.weights_B)
        for parameter, other in zip(context.model.parameters(), twin.model.parameters(), strict=True):
            assert torch.equal(parameter, other)
    assert state.pop("estimator", None) == kept.pop("estimator", None)
    torch.testing.assert_close(state, kept, rtol=0, atol=0)


def test_joint_objective_is_one_loss_of_both_networks() -> None:
    context, twin = make_context("momentum"), make_context("momentum")
    method = make_method({"name": "weight_model", "objective": "joint"}, context)
    module = copy.deepcopy(method._network.module)
    adam = torch.optim.Adam(module.parameters(), lr=1e-3, weight_decay=1e-4)
    for number in range(3):
        batch = batch_of(twin, number)
        values_B = module(twin.train.weight_features[batch.index].double()).squeeze(1)
        twin.optimizer.zero_grad()
        adam.zero_grad()
        (values_B * LOSS(twin.model(batch.x), batch.y)).mean().backward()
        twin.optimizer.step()
        adam.step()
        outcome = method.step(batch, number, 0)
        torch.testing.assert_close(outcome.weights_B, values_B.detach() / BATCH)
    _assert_close(method._network.module, dict(module.named_parameters()))
    _assert_close(context.model, dict(twin.model.named_parameters()))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run_on_ranks(run_rank, 2, tmp_path_factory.mktemp("ranks"))
    return found


@pytest.mark.parametrize("number", range(len(CASES)))
def test_two_ranks_equal_one_process(found: list[dict[str, Any]], number: int) -> None:
    together, (method, options), close = found[number], CASES[number], {"rtol": 1e-9, "atol": 1e-12}
    context = make_context("momentum", **options)
    start = [parameter.detach().clone() for parameter in context.model.parameters()]
    built = make_method(method, context)
    outcomes = run_steps(built, context, range(STEPS))
    for weights, outcome in zip(together["weights"], outcomes, strict=True):
        torch.testing.assert_close(weights, outcome.weights_B, **close)
    for network in together["networks"]:
        torch.testing.assert_close(network, list(built._network.module.parameters()), **close)
    for parameter, twin, before in zip(
        context.model.parameters(), together["parameters"], start, strict=True
    ):
        torch.testing.assert_close(twin, parameter.detach(), **close)
        assert (parameter - before).norm() > 1e-3, "nothing was learned: the comparison says nothing"


def test_initial_network_is_a_function_of_the_seed_alone() -> None:
    context = make_context("plain")
    drawn = torch.get_rng_state()
    first = make_method({"name": "weight_model", "hidden": [7, 5]}, context)._network.module
    assert torch.equal(torch.get_rng_state(), drawn)
    torch.rand(1)
    second = make_method({"name": "weight_model", "hidden": [7, 5]}, context)._network.module
    assert [tuple(p.shape) for p in first.parameters()] == [(7, 3), (7,), (5, 7), (5,), (1, 5), (1,)]
    for parameter, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(parameter, other)
    generator = rng_for(0, "weight_network")
    bound = 3**-0.5
    expected = torch.empty(7, 3).uniform_(-bound, bound, generator=generator)
    torch.testing.assert_close(next(first.parameters()).detach().float(), expected)


def test_a_train_set_without_weight_features_is_refused() -> None:
    context = make_context("plain")
    object.__setattr__(context.train, "weight_features", None)
    with pytest.raises(DataError, match=r"trial\.data\.weight_features = None: the source has none"):
        make_method({"name": "weight_model"}, context)


@pytest.mark.parametrize(("broken", "phase"), [("meta", "meta_loss"), ("train", "scores")])
def test_what_is_not_finite_fails(broken: str, phase: str) -> None:
    context = make_context("plain")
    method = make_method({"name": "weight_model", "lookahead": "zero"}, context)
    inputs = context.train.inputs if broken == "train" else context.meta.examples.inputs
    inputs[0, 0] = torch.nan
    with pytest.raises(NonFiniteError, match=f"non-finite {phase} at step 0"):
        method.step(batch_of(context, 0), 0, 0)
