"""What every estimator must do, one suite for all: exactness, no traces, equal training."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.utils import parametrize, prune

from l2rw_ray.errors import InputError, UnsupportedModelError
from l2rw_ray.meta import ReweightedStep, example_scores, example_weights, reference_scores
from l2rw_ray.meta.alignment import ESTIMATORS
from tests.meta.networks import BUILDERS, CLASSES, COUPLED, LOSS, SHAPE, batch, make_case, relative_error

EXACT = ("ghost", "forward_mode", "second_order", "auto")
DIFFERENCES = ("finite_difference", "central_difference")
TREATED = [
    (estimator, name)
    for estimator in ESTIMATORS.names()
    for name in BUILDERS
    if not (estimator == "ghost" and name in COUPLED)
]


@pytest.mark.parametrize(("estimator", "name"), [pair for pair in TREATED if pair[0] in EXACT])
@settings(max_examples=6)
@given(train_size=st.integers(1, 64), meta_size=st.integers(1, 32), seed=st.integers(0, 9))
def test_equals_the_reference(estimator: str, name: str, train_size: int, meta_size: int, seed: int) -> None:
    case = make_case(name, train_size, meta_size, seed)
    expected = reference_scores(case.network, LOSS, case.train, case.meta)
    assume(expected.norm() > 1e-3)  # else there is nothing to compare
    found = example_scores(case.network, LOSS, case.train, case.meta, estimator=estimator)
    assert relative_error(found, expected) < 1e-9
    assert relative_error(found + 1e-8 * expected.norm(), expected) > 1e-9


@pytest.mark.parametrize(("estimator", "name"), [pair for pair in TREATED if pair[0] in EXACT])
def test_single_precision_is_close(estimator: str, name: str) -> None:
    case = make_case(name)
    expected = reference_scores(case.network, LOSS, case.train, case.meta)
    (x, y), (x_meta, y_meta) = case.train, case.meta
    train, meta = (x.float(), y), (x_meta.float(), y_meta)
    found = example_scores(case.network.float(), LOSS, train, meta, estimator=estimator)
    assert relative_error(found.double(), expected) < 1e-4


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("estimator", DIFFERENCES)
@pytest.mark.parametrize("untrained", [False, True])
def test_differences_give_nearly_the_same_weights(estimator: str, name: str, untrained: bool) -> None:
    case = make_case(name, train_size=32)
    if untrained:
        torch.manual_seed(1)
        case.network.load_state_dict(BUILDERS[name]().state_dict())
    expected = example_weights(reference_scores(case.network, LOSS, case.train, case.meta))
    (x, y), (x_meta, y_meta) = case.train, case.meta
    scores = example_scores(
        case.network.float(), LOSS, (x.float(), y), (x_meta.float(), y_meta), estimator=estimator
    )
    cosine = torch.cosine_similarity(example_weights(scores).double(), expected, dim=0)
    assert cosine > 0.999


def test_last_layer_is_the_alignment_of_the_last_layer() -> None:
    case = make_case("lenet")
    head = case.network[-1]
    direction = torch.autograd.grad(
        LOSS(case.network(case.meta[0]), case.meta[1]).mean(), list(head.parameters())
    )
    expected = []
    for loss in LOSS(case.network(case.train[0]), case.train[1]):
        parts = torch.autograd.grad(loss, list(head.parameters()), retain_graph=True)
        expected.append(sum((a * b).sum() for a, b in zip(parts, direction, strict=True)))
    found = example_scores(case.network, LOSS, case.train, case.meta, estimator="last_layer")
    assert relative_error(found, torch.stack(expected)) < 1e-9


@pytest.mark.parametrize(("estimator", "name"), TREATED)
@pytest.mark.parametrize("lookahead", ["zero", "optimizer"])
def test_nothing_is_written(estimator: str, name: str, lookahead: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(make_case(name).network, nn.Dropout(0.5), nn.Linear(CLASSES, CLASSES).double())
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad])
    LOSS(network(batch(4)[0]), batch(4)[1]).mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    before = copy.deepcopy((network.state_dict(), optimizer.state_dict()["state"]))
    generator = torch.get_rng_state()
    train, meta = batch(6), batch(4)
    torch.set_rng_state(generator)

    def compute() -> torch.Tensor:
        return example_scores(
            network, LOSS, train, meta, estimator=estimator, lookahead=lookahead, optimizer=optimizer
        )

    assert torch.equal(compute(), compute())
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(parameter.grad is None for parameter in network.parameters())
    torch.testing.assert_close(
        (network.state_dict(), optimizer.state_dict()["state"]), before, rtol=0, atol=0
    )
    assert not any("forward" in vars(layer) for layer in network.modules())


@pytest.mark.parametrize(("estimator", "name"), TREATED)
def test_a_step_is_the_update_of_its_weights(estimator: str, name: str) -> None:
    case = make_case(name)
    twin = copy.deepcopy(case.network)
    trained = [parameter for parameter in case.network.parameters() if parameter.requires_grad]
    step = ReweightedStep(
        case.network, torch.optim.SGD(trained, lr=0.1), LOSS, estimator=estimator, normalise="mean_one"
    )
    result = step(case.train, case.meta)
    assert result.weights.count_nonzero() > 1
    losses = LOSS(twin(case.train[0]), case.train[1])
    torch.testing.assert_close(result.losses, losses.detach(), rtol=1e-9, atol=1e-12)
    (result.weights * losses).sum().backward()
    own = [parameter for parameter in twin.parameters() if parameter.requires_grad]
    torch.optim.SGD(own, lr=0.1).step()
    torch.testing.assert_close(case.network.state_dict(), twin.state_dict(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("estimator", ["forward_mode", "finite_difference", "central_difference"])
def test_probe_and_training_forward_draw_the_same_masks(estimator: str) -> None:
    case = make_case("mlp", train_size=40)
    network = nn.Sequential(case.network[:4], nn.Dropout(0.5), case.network[4:])
    twin, generator = copy.deepcopy(network), torch.get_rng_state()
    step = ReweightedStep(network, torch.optim.SGD(network.parameters(), lr=0.1), LOSS, estimator=estimator)
    result = step(case.train, case.meta)
    drawn = torch.get_rng_state()
    torch.set_rng_state(generator)
    losses = LOSS(twin(case.train[0]), case.train[1])
    assert torch.equal(result.losses, losses.detach())
    assert torch.equal(torch.get_rng_state(), drawn), "a step draws what a plain step draws"
    torch.set_rng_state(generator)
    exact = example_scores(twin, LOSS, case.train, case.meta, estimator="forward_mode")
    assert relative_error(result.scores, exact) < 1e-6


def test_ghost_trains_on_the_masks_it_scored_by() -> None:
    """Those of a plain forward, which a meta batch in the same pass would shift."""
    case = make_case("mlp", train_size=40)
    network = nn.Sequential(case.network[:4], nn.Dropout(0.5), case.network[4:])
    twin, generator = copy.deepcopy(network), torch.get_rng_state()
    step = ReweightedStep(network, torch.optim.SGD(network.parameters(), lr=0.1), LOSS, estimator="ghost")
    result = step(case.train, case.meta)
    parameters, losses = list(twin.parameters()), []
    for x, y in (case.meta, case.train):
        torch.set_rng_state(generator)
        losses.append(LOSS(twin(x), y))
    direction = torch.autograd.grad(losses[0].mean(), parameters)
    rows = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses[1]]
    expected = [sum((a * b).sum() for a, b in zip(row, direction, strict=True)) for row in rows]
    assert relative_error(result.scores, torch.stack(expected)) < 1e-9
    (result.weights * losses[1]).sum().backward()
    torch.optim.SGD(parameters, lr=0.1).step()
    torch.testing.assert_close(network.state_dict(), twin.state_dict(), rtol=1e-9, atol=1e-12)


def test_200_steps_with_ghost_and_with_the_reference_are_the_same_training() -> None:
    case = make_case("lenet", train_size=16)
    plain = copy.deepcopy(case.network)
    optimizer = torch.optim.SGD(case.network.parameters(), lr=0.002, momentum=0.9)
    plain_optimizer = torch.optim.SGD(plain.parameters(), lr=0.002, momentum=0.9)
    step = ReweightedStep(case.network, optimizer, LOSS, estimator="ghost")
    batches = [batch(16) for _ in range(10)]
    curves: tuple[list[float], list[float]] = ([], [])
    for number in range(200):
        train = batches[number % 10]
        curves[0].append(step(train, case.meta).loss.item())
        weights = example_weights(reference_scores(plain, LOSS, train, case.meta))
        loss = (weights * LOSS(plain(train[0]), train[1])).sum()
        curves[1].append(loss.item())
        if weights.any():
            plain_optimizer.zero_grad()
            loss.backward()
            plain_optimizer.step()
    assert curves[0] == pytest.approx(curves[1], rel=1e-9)
    assert curves[1][-1] < curves[1][0]


class _Coupled(nn.Module):
    """Subtracts the batch's mean: coupling that no layer's type tells."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 8), nn.Linear(8, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x.flatten(1))
        return self.second(h - h.mean(dim=0))


class _Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(8, 6, batch_first=True), nn.Linear(6, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(x.squeeze(1))[0][:, -1])


@pytest.mark.parametrize(
    ("network", "name", "problem"),
    [
        (_Recurrent, "cell", "LSTM has no gradient rule by example"),
        (BUILDERS["batch_norm"], "body.1", "statistics of the batch"),
        (
            lambda: nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, CLASSES)),
            "0",
            "statistics of the batch",
        ),
    ],
)
def test_ghost_names_what_it_cannot_treat_and_auto_treats_it(network, name: str, problem: str) -> None:
    torch.manual_seed(0)
    model, train, meta = network().double(), batch(6), batch(4)
    generator = torch.get_rng_state()
    with pytest.raises(UnsupportedModelError) as raised:
        example_scores(model, LOSS, train, meta, estimator="ghost")
    assert str(raised.value).startswith(f"model = '{name}': ")
    assert problem in str(raised.value)
    assert str(raised.value).endswith("use estimator='auto'")
    assert torch.equal(torch.get_rng_state(), generator)
    expected = reference_scores(model, LOSS, train, meta)
    found = example_scores(model, LOSS, train, meta, estimator="auto")
    assert relative_error(found, expected) < 1e-5


class _Doubled(torch.autograd.Function):
    """An operation with a first derivative alone."""

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        return 2 * gradient


class _OnceDifferentiable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, CLASSES)
        self.seen = nn.BatchNorm1d(CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.seen(_Doubled.apply(self.head(x.flatten(1))))


@pytest.mark.parametrize("estimator", ["forward_mode", "second_order"])
def test_a_missing_derivative_is_named_and_auto_does_without(estimator: str) -> None:
    model, train, meta = _OnceDifferentiable().double(), batch(4), batch(3)
    with pytest.raises(UnsupportedModelError, match=r"use estimator='auto'"):
        example_scores(model, LOSS, train, meta, estimator=estimator)
    found = example_scores(model, LOSS, train, meta)
    exact = example_scores(model, LOSS, train, meta, estimator="per_example")
    assert relative_error(found, exact) < 1e-12


@pytest.mark.parametrize("network", ["recurrent", "attention"])
@pytest.mark.parametrize("estimator", ["forward_mode", "second_order"])
def test_fused_kernels_without_a_derivative_are_replaced(network: str, estimator: str) -> None:
    model = {"recurrent": _Recurrent, "attention": _Attention}[network]()
    train, meta = ((x.float(), y) for x, y in (batch(4), batch(3)))
    expected = example_scores(model, LOSS, train, meta, estimator="per_example")
    found = example_scores(model, LOSS, train, meta, estimator=estimator)
    assert relative_error(found, expected) < 1e-4


@pytest.mark.parametrize("estimator", DIFFERENCES)
def test_differences_refuse_what_is_too_coarse(estimator: str) -> None:
    model = BUILDERS["mlp"]()
    train, meta = ((x.float(), y) for x, y in (batch(4), batch(3)))
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(UnsupportedModelError, match="rounding"):
        example_scores(model, LOSS, train, meta, estimator=estimator)


def test_what_cannot_be_scored_is_refused() -> None:
    case = make_case("mlp")
    with pytest.raises(InputError, match=r"estimator = 'magic': unknown; use one of auto, "):
        example_scores(case.network, LOSS, case.train, case.meta, estimator="magic")
    with pytest.raises(InputError, match=r"loss_fn = 'a loss of shape \(\)"):
        example_scores(case.network, nn.CrossEntropyLoss(), case.train, case.meta)
    with pytest.raises(InputError, match="loss_fn = 'list'"):
        example_scores(case.network, lambda output, y: [0.0], case.train, case.meta)
    with pytest.raises(InputError, match=r"loss_fn = torch.int64"):
        example_scores(case.network, lambda output, y: output.argmax(dim=1), case.train, case.meta)
    with pytest.raises(InputError, match="meta_batch = '0 examples'"):
        example_scores(case.network, LOSS, case.train, batch(0))
    with pytest.raises(InputError, match="no parameter to train"):
        example_scores(case.network.requires_grad_(False), LOSS, case.train, case.meta)
    assert SHAPE == (1, 8, 8)


def _called_by_two_names() -> nn.Module:
    shared = nn.Linear(8, 8)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 8), shared, nn.Tanh(), shared, nn.Tanh(), nn.Linear(8, CLASSES)
    )


def _pruned() -> nn.Module:
    network = BUILDERS["mlp"]()
    prune.l1_unstructured(network[1], "weight", 0.3)
    return network


def _parametrized() -> nn.Module:
    network = BUILDERS["lenet"]()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            parametrize.register_parametrization(layer, "weight", nn.Tanh())
    return network


@pytest.mark.parametrize("build", [_called_by_two_names, _pruned, _parametrized])
@pytest.mark.parametrize("estimator", ["auto", "ghost", "forward_mode", "finite_difference", "second_order"])
def test_parameters_with_two_names_or_behind_a_hook(estimator: str, build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model, train, meta = build().double(), batch(6), batch(4)
    own = dict(model.named_parameters())
    trained = list(own.values())
    direction = torch.autograd.grad(LOSS(model(meta[0]), meta[1]).mean(), trained)
    losses = LOSS(model(train[0]), train[1])
    rows = [torch.autograd.grad(loss, trained, retain_graph=True) for loss in losses]
    expected = torch.stack([sum((a * b).sum() for a, b in zip(row, direction, strict=True)) for row in rows])
    found = example_scores(model, LOSS, train, meta, estimator=estimator)
    assert relative_error(found, expected) < 1e-5
    step = ReweightedStep(model, torch.optim.SGD(trained, lr=0.1), LOSS, estimator=estimator)
    before = [parameter.detach().clone() for parameter in trained]
    step(train, meta)
    assert all(model.get_parameter(name) is parameter for name, parameter in own.items())
    assert not any(map(torch.equal, before, trained))


class _Attention(nn.Module):
    """An operation whose backward torch cannot differentiate, and a head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Linear(8, CLASSES), nn.Linear(8, CLASSES, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.words(x.squeeze(1)).softmax(dim=-1) @ self.words.weight
        h = functional.scaled_dot_product_attention(*3 * (h.unsqueeze(1),)).squeeze(1)
        return self.head(h.mean(dim=1))


def test_last_layer_may_be_tied_to_another() -> None:
    assert example_scores(_Attention().double(), LOSS, batch(4), batch(3), estimator="last_layer").any()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"x": torch.ones(2)}, "train_batch = 'dict': no inputs and targets; give a pair.* pass losses="),
        ((torch.ones(2),) * 3, "train_batch = 'Tensor, Tensor, Tensor': no inputs and targets"),
        (
            (torch.ones(20, 3), torch.ones(5)),
            r"train_batch = '\[20, 3\] and \[5\]': .* differ in their number of rows",
        ),
    ],
)
def test_what_is_no_batch_is_refused(train, message: str) -> None:
    with pytest.raises(InputError, match=message):
        example_scores(make_case("mlp").network, LOSS, train, batch(3))


def test_layers_without_parameters_yet_and_weights_that_forwards_write_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="model = '1': it has no parameters yet; call the model"):
        example_scores(nn.Sequential(nn.Flatten(), nn.LazyLinear(CLASSES)), LOSS, batch(4), batch(3))
    with pytest.raises(UnsupportedModelError, match="max_norm writes its weight"):
        example_scores(nn.Embedding(4, CLASSES, max_norm=1.0), LOSS, batch(4), batch(3))
