"""What ghost must find out for itself: everything it treats is exact, and the rest is refused."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta import ReweightedStep, example_scores, reference_scores
from l2rw_ray.meta.alignment.layers import FactoredLinear
from l2rw_ray.meta.alignment.row_weights import RowWeights
from tests.meta.networks import CLASSES, LOSS, batch, make_case, relative_error


class _StandardisedInput(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward((x - x.mean(dim=0)) / x.std(dim=0, correction=0).clamp_min(0.1))


class _CentredFrozenFeatures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.head = nn.Linear(64, 8).requires_grad_(requires_grad=False), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = self.frozen(x.flatten(1))
        return self.head(h - h.mean(dim=0))


def _head(*body: nn.Module) -> nn.Module:
    return nn.Sequential(*body, nn.Flatten(), nn.LazyLinear(CLASSES))


class _Between(nn.Module):
    """Something between two trained layers, given as a function of the hidden activations."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.between = nn.Linear(64, 8), nn.Linear(8, CLASSES), between

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.between(self.first(x.flatten(1))))


class _Counter(nn.Module):
    """Counts examples in a buffer that it replaces."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.head = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + len(x)
        return self.head(x.flatten(1))


def _standardised_input() -> nn.Module:
    return _StandardisedInput(nn.Flatten(), nn.Linear(64, CLASSES))


def _running_statistics() -> nn.Module:
    return _head(nn.InstanceNorm2d(1, track_running_stats=True), nn.Conv2d(1, 3, 3))


_SEEN = r"its (scores|losses|gradients) differ from those of plain autograd"


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: _Between(lambda h: h - h.mean(0)), _SEEN),
        (lambda: _Between(lambda h: h.cumsum(dim=0)), _SEEN),
        (lambda: _Between(lambda h: h - h[:1]), "its forward has rows that are not those of the examples"),
    ],
)
def test_a_network_whose_examples_see_each_other_is_refused(
    build: Callable[[], nn.Module], problem: str
) -> None:
    torch.manual_seed(0)
    network, train, meta = build().double(), batch(7), batch(4)
    network(train[0])
    with pytest.raises(UnsupportedModelError, match=problem):
        example_scores(network, LOSS, train, meta, estimator="ghost")
    expected = reference_scores(network, LOSS, train, meta)
    assert relative_error(example_scores(network, LOSS, train, meta), expected) < 1e-9


@pytest.mark.parametrize(
    "build",
    [
        _standardised_input,
        _CentredFrozenFeatures,
        lambda: _Between(lambda h: h - h.mean(0).detach()),
        lambda: _Between(lambda h: h / len(h)),
        _Counter,
        _running_statistics,
    ],
)
@pytest.mark.parametrize("size", [1, 7])
def test_examples_that_see_each_other_without_a_gradient_pass_without_the_meta_batch(
    build: Callable[[], nn.Module], size: int
) -> None:
    torch.manual_seed(0)
    network, train, meta = build().double(), batch(size), batch(4)
    network(train[0])
    before = copy.deepcopy(network.state_dict())
    found = example_scores(network, LOSS, train, meta, estimator="ghost")
    expected = reference_scores(network, LOSS, train, meta)
    assert relative_error(found, expected) < 1e-9
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_layer_that_is_set_free_is_examined_again() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), _Centre(), nn.Linear(8, CLASSES)).double()
    step = ReweightedStep(network, torch.optim.SGD(network.parameters(), lr=0.1), LOSS, estimator="ghost")
    network[1].requires_grad_(requires_grad=False)
    step(batch(5), batch(4))
    network[1].requires_grad_(requires_grad=True)
    with pytest.raises(UnsupportedModelError, match=_SEEN):
        step(batch(5), batch(4))


class _Centre(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0)


@pytest.mark.parametrize("estimator", ["auto", "ghost", "forward_mode"])
def test_train_targets_may_be_of_another_kind_than_meta_targets(estimator: str) -> None:
    case = make_case("mlp")
    soft = torch.rand(9, CLASSES, dtype=torch.float64).softmax(dim=1)
    found = example_scores(case.network, LOSS, (case.train[0], soft), case.meta, estimator=estimator)
    expected = reference_scores(case.network, LOSS, (case.train[0], soft), case.meta)
    assert relative_error(found, expected) < 1e-9


@pytest.mark.parametrize(
    ("estimator", "passes"), [("ghost", 1), ("forward_mode", 2), ("finite_difference", 2)]
)
def test_the_gradient_at_epsilon_is_taken_with_the_masks_of_the_training_forward(
    estimator: str, passes: int
) -> None:
    """ghost takes it from the training forward itself."""
    case = make_case("mlp", train_size=12)
    network = nn.Sequential(case.network[:4], nn.Dropout(0.5), case.network[4:])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    masks: list[Tensor] = []
    network[1].register_forward_hook(lambda layer, inputs, output: masks.append(output[:12] == 0))
    step = ReweightedStep(network, optimizer, LOSS, estimator=estimator, lookahead="optimizer", epsilon=1.0)
    twin, generator = copy.deepcopy(network), torch.get_rng_state()
    step(case.train, case.meta)  # examines the network first
    torch.set_rng_state(generator)
    masks.clear()
    step(case.train, case.meta)
    step_masks = [mask for mask in masks if mask.shape[0] == 12]
    torch.set_rng_state(generator)
    masks.clear()
    twin(case.train[0])
    assert sum(torch.equal(mask, masks[0]) for mask in step_masks) >= passes
    assert all(torch.equal(mask, masks[0]) for mask in step_masks[:passes])


def test_activation_checkpoints_and_no_grad_are_the_same_computation() -> None:
    case = make_case("mlp")
    expected = example_scores(case.network, LOSS, case.train, case.meta)
    body, head = case.network[:4], case.network[4:]
    network = _Checkpointed(body, head)
    with torch.no_grad():
        found = example_scores(network, LOSS, case.train, case.meta, estimator="ghost")
    assert relative_error(found, expected) < 1e-9
    with pytest.raises(UnsupportedModelError, match="runs parts of its forward again"):
        example_scores(network, LOSS, case.train, case.meta, estimator="forward_mode")
    found = example_scores(network, LOSS, case.train, case.meta, estimator="finite_difference")
    assert relative_error(found, expected) < 1e-5


class _Checkpointed(nn.Module):
    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(checkpoint(self.body, x, use_reentrant=False))


@pytest.mark.parametrize("estimator", ["ghost", "forward_mode"])
@pytest.mark.parametrize("lookahead", ["zero", "optimizer"])
def test_parameters_may_be_frozen_and_set_free_between_steps(estimator: str, lookahead: str) -> None:
    case = make_case("lenet")
    optimizer = torch.optim.SGD(case.network.parameters(), lr=0.1, momentum=0.9)
    step = ReweightedStep(
        case.network, optimizer, LOSS, estimator=estimator, lookahead=lookahead, meta_gradient_every=2
    )
    first = next(case.network.parameters())
    for is_trained in (True, False, True, True):
        first.requires_grad_(is_trained)
        before = first.detach().clone()
        step(case.train, case.meta)
        assert torch.equal(first, before) is not is_trained


@pytest.mark.parametrize("is_written", [True, False])
def test_the_train_batch_is_looked_at_again_unless_its_copy_was_written(is_written: bool) -> None:
    x, weight = torch.randn(4, 3), torch.randn(2, 3)
    copy_ = torch.cat([x, torch.randn(1, 3)])
    if is_written:
        copy_.mul_(2)
    gradient = torch.randn(5, 2)
    held = FactoredLinear(weight, copy_.unsqueeze(1), gradient.unsqueeze(1), 4)
    held.share(x, copy_)
    torch.testing.assert_close(held.weighted(RowWeights(torch.ones(4))), gradient[:4].T @ copy_[:4])
    x.zero_()
    assert held.weighted(RowWeights(torch.ones(4))).eq(0).all() == (not is_written)


def test_hooks_after_accumulation_are_called_once() -> None:
    case = make_case("mlp")
    calls: list[int] = []
    for parameter in case.network.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: calls.append(p.grad.mul_(0.5).numel()))
    twin = copy.deepcopy(make_case("mlp").network)
    results = []
    for network in (case.network, twin):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1 if network is twin else 0.2)
        results.append(ReweightedStep(network, optimizer, LOSS, estimator="ghost")(case.train, case.meta))
    assert len(calls) == len(list(case.network.parameters()))
    torch.testing.assert_close(case.network.state_dict(), twin.state_dict())
