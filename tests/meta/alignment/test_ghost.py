"""What ghost must find out for itself: everything it treats is exact, and the rest is refused."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta import ReweightedStep, example_scores, reference_scores
from l2rw_ray.meta.alignment import estimator_named
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


class _Standardised(nn.Conv2d):
    """Weight standardisation, below the `forward` that it inherits."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, (weight - weight.mean()) / weight.std(), bias)


def _head(*body: nn.Module) -> nn.Module:
    return nn.Sequential(*body, nn.Flatten(), nn.LazyLinear(CLASSES))


def _standardised_input() -> nn.Module:
    return _StandardisedInput(nn.Flatten(), nn.Linear(64, CLASSES))


def _patched() -> nn.Module:
    network = _head(nn.Conv2d(1, 3, 3), nn.Tanh())
    own = network[0].forward
    network[0].forward = lambda x: 2 * own(x)
    return network


def _running_statistics() -> nn.Module:
    return _head(nn.InstanceNorm2d(1, track_running_stats=True), nn.Conv2d(1, 3, 3))


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (_standardised_input, "an example's loss changes with the others of its batch"),
        (_CentredFrozenFeatures, "an example's loss changes with the others of its batch"),
        (lambda: _head(_Standardised(1, 3, 3), nn.Tanh()), "no gradient rule by example"),
        (_patched, "no gradient rule by example"),
        (_running_statistics, "its buffer 0.running_mean is written by a forward"),
    ],
)
@pytest.mark.parametrize("size", [1, 7])
def test_what_no_layer_type_tells_is_found(build: Callable[[], nn.Module], problem: str, size: int) -> None:
    torch.manual_seed(0)
    network, train, meta = build().double(), batch(size), batch(4)
    network(train[0])
    with pytest.raises(UnsupportedModelError, match=problem):
        example_scores(network, LOSS, train, meta, estimator="ghost")
    if size > 1:
        expected = reference_scores(network, LOSS, train, meta)
        assert relative_error(example_scores(network, LOSS, train, meta), expected) < 1e-5


def test_a_layer_that_is_set_free_is_examined_again() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), _Centre(), nn.Linear(8, CLASSES)).double()
    estimator = estimator_named("ghost")
    network[2].active = False
    example_scores(network, LOSS, batch(5), batch(4), estimator=estimator)
    network[2].active = True
    network[1].requires_grad_(requires_grad=False)
    with pytest.raises(UnsupportedModelError, match="changes with the others"):
        example_scores(network, LOSS, batch(5), batch(4), estimator=estimator)


class _Centre(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0) if self.active else x


@pytest.mark.parametrize("estimator", ["auto", "ghost", "forward_mode"])
def test_train_targets_may_be_of_another_kind_than_meta_targets(estimator: str) -> None:
    case = make_case("mlp")
    soft = torch.rand(9, CLASSES, dtype=torch.float64).softmax(dim=1)
    found = example_scores(case.network, LOSS, (case.train[0], soft), case.meta, estimator=estimator)
    expected = reference_scores(case.network, LOSS, (case.train[0], soft), case.meta)
    assert relative_error(found, expected) < 1e-9


@pytest.mark.parametrize("estimator", ["ghost", "forward_mode", "finite_difference"])
def test_the_gradient_at_epsilon_is_taken_with_the_masks_of_the_training_forward(estimator: str) -> None:
    case = make_case("mlp", train_size=12)
    network = nn.Sequential(case.network[:4], nn.Dropout(0.5), case.network[4:])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    masks: list[Tensor] = []
    network[1].register_forward_hook(lambda layer, inputs, output: masks.append(output[:12] == 0))
    step = ReweightedStep(network, optimizer, LOSS, estimator=estimator, lookahead="optimizer", epsilon=1.0)
    twin, generator = copy.deepcopy(network), torch.get_rng_state()
    step(case.train, case.meta)
    step_masks = [mask for mask in masks if mask.shape[0] == 12]
    torch.set_rng_state(generator)
    masks.clear()
    twin(case.train[0])
    assert sum(torch.equal(mask, masks[0]) for mask in step_masks) >= 2
