"""Which examples filters drop and a classifier discounts, beside scikit-learn and by hand."""

import pytest
import torch
from sklearn.covariance import EmpiricalCovariance
from sklearn.linear_model import LogisticRegression
from torch import nn

from l2rw_ray.data import Batch
from l2rw_ray.errors import DataError, NonFiniteError, UnsupportedModelError
from l2rw_ray.events import EpochCompleted
from l2rw_ray.methods import build_method
from l2rw_ray.methods.builtin.mahalanobis_filter import mahalanobis_distances
from l2rw_ray.methods.builtin.ood_classifier import in_distribution
from l2rw_ray.methods.whole_set import features_of, outputs_of
from tests.methods.conftest import built
from tests.methods.test_methods import CONFIGS
from tests.training.conftest import MakeTrial, train


def _gaussians(count: int, shift: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, dtype=torch.float64, generator=generator) + shift


def test_mahalanobis_distances_are_scikit_learns() -> None:
    labels = torch.arange(90) % 3
    features = _gaussians(90, 0.0, 0) @ torch.tensor([[2.0, 1, 0], [0, 1, 0], [0, 0, 0.1]]).double()
    features = torch.cat([features, torch.ones(90, 1).double()], dim=1)  # a direction without spread
    features[:, 0] += labels
    means = torch.stack([features[labels == label].mean(dim=0) for label in range(3)])
    fitted = EmpiricalCovariance(assume_centered=True).fit((features - means[labels]).numpy())
    found = mahalanobis_distances(features, labels, 4)
    for label in range(3):
        squares = fitted.mahalanobis((features - means[label]).numpy())
        assert found[:, label].square().tolist() == pytest.approx(squares.tolist())
    assert found[:, 3].isinf().all(), "no example has this class"


def test_features_are_the_inputs_of_the_last_layer(make_trial: MakeTrial) -> None:
    _, context = built(make_trial, optim__epochs=4)
    *inner, last = context.model
    features = features_of(context.train, context, 0)
    x, _ = context.train.take(torch.arange(60))
    assert torch.equal(features, nn.Sequential(*inner)(x))
    assert torch.equal(last(features), outputs_of(context.train, context, 0))
    assert not last._forward_pre_hooks


class _Idle(nn.Module):
    """Has a linear layer that it does not run."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.idle = nn.Parameter(torch.ones(())), nn.Linear(3, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x.flatten(1)[:, :10]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 10, 8), nn.Flatten()), "model = 'Sequential': it has no linear layer, "),
        (_Idle(), "model = 'idle': its inputs are not the features of a batch"),
    ],
)
def test_networks_without_features_are_refused(
    make_trial: MakeTrial, network: nn.Module, message: str
) -> None:
    _, context = built(make_trial, optim__epochs=4)
    object.__setattr__(context, "model", network)
    with pytest.raises(UnsupportedModelError, match=message):
        features_of(context.train, context, 0)


@pytest.mark.parametrize("name", ["mahalanobis_filter", "ood_classifier"])
def test_networks_without_features_are_refused_before_they_are_trained(
    make_trial: MakeTrial, name: str
) -> None:
    _, context = built(make_trial, optim__epochs=4)
    object.__setattr__(context, "model", nn.Sequential(nn.Conv2d(1, 10, 8), nn.Flatten()))
    with pytest.raises(UnsupportedModelError, match="it has no linear layer"):
        build_method(CONFIGS[name], context)


def test_outputs_that_are_not_finite_fail_with_their_step(make_trial: MakeTrial) -> None:
    _, context = built(make_trial, optim__epochs=4)
    nn.init.constant_(context.model[-1].weight, torch.inf)
    with pytest.raises(NonFiniteError, match="non-finite outputs at step 12"):
        outputs_of(context.train, context, 12)


@pytest.mark.parametrize("reference", ["given_class", "best_class"])
@pytest.mark.parametrize("name", ["msp_filter", "mahalanobis_filter"])
def test_the_oddest_are_dropped_and_the_others_come_in_their_order(
    make_trial: MakeTrial, name: str, reference: str
) -> None:
    method = {"name": name, "drop_fraction": 0.25, "reference": reference}
    filtering, context = built(make_trial, optim__epochs=4, method=method)
    labels, rows = context.train.labels, torch.arange(60)
    if name == "msp_filter":
        likeness = outputs_of(context.train, context, 0).softmax(dim=1)
    else:
        features = features_of(context.train, context, 0)
        likeness = -mahalanobis_distances(features, labels, 10)
        if reference == "given_class":
            likeness = (likeness.square() / -2).log_softmax(dim=1)
    likeness = likeness[rows, labels] if reference == "given_class" else likeness.amax(dim=1)
    dropped = likeness.argsort()[:15]
    plan = filtering.begin_epoch(2)
    assert set(plan.order.tolist()) == set(range(60)) - set(dropped.tolist())
    assert len(plan.order) == 60, "as many steps as any other built's epoch"
    assert len(plan.order[:45].unique()) == 45
    assert plan.metrics["dropped_fraction"] == 0.25
    wrong = context.train.corrupted[dropped].double().mean().item()
    assert plan.metrics["dropped_corrupted_fraction"] == pytest.approx(wrong)


def test_kept_examples_are_trained_on_for_the_epochs_that_are_left(make_trial: MakeTrial) -> None:
    method = {"name": "msp_filter", "drop_fraction": 0.5, "first_epochs": 1}
    events = train(make_trial(method=method, optim__epochs=3))
    assert [event.step for event in events if isinstance(event, EpochCompleted)] == [3, 6, 9]


def test_passes_over_the_kept_examples_follow_one_another(make_trial: MakeTrial) -> None:
    method, _ = built(make_trial, optim__epochs=5, method={"name": "msp_filter", "drop_fraction": 0.3})
    visited = torch.cat([method.begin_epoch(epoch).order for epoch in (2, 3, 4)])
    passes = visited[: 42 * 4].view(4, 42)
    assert len(visited) == 180
    assert all(len(one.unique()) == 42 for one in passes)
    assert not torch.equal(passes[0], passes[1])


def test_figures_of_labels_need_wrong_ones(make_trial: MakeTrial) -> None:
    method, _ = built(make_trial, optim__epochs=4, method__name="msp_filter", data__noise__rate=0.0)
    assert method.begin_epoch(2).metrics == {"dropped_fraction": 0.1}


def test_a_filter_that_leaves_too_little_is_refused(make_trial: MakeTrial) -> None:
    method, context = built(make_trial, optim__epochs=4, method={"name": "msp_filter", "drop_fraction": 0.99})
    object.__setattr__(context, "world_size", 2)
    with pytest.raises(DataError, match=r"drop_fraction = 0.99: keeps 1 of 60 .*; lower it"):
        method.compute_weights(0)


def test_classifier_is_scikit_learns_fitted_without_the_example_it_scores() -> None:
    train_set, meta = _gaussians(60, 0.0, 1), _gaussians(12, 1.0, 2)
    found = in_distribution(train_set, meta, torch.Generator().manual_seed(5))
    parts = torch.randperm(60, generator=torch.Generator().manual_seed(5)) % 5
    for part in range(5):
        kept = train_set[parts != part]
        together = torch.cat([meta, kept])
        mean, std = together.mean(dim=0), together.std(dim=0, correction=0)
        weights = [60 / 24] * 12 + [60 / 96] * 48  # each side counts as half of all
        regression = LogisticRegression(max_iter=1000).fit(
            ((together - mean) / std).numpy(), [1] * 12 + [0] * 48, sample_weight=weights
        )
        expected = regression.predict_proba(((train_set[parts == part] - mean) / std).numpy())[:, 1]
        assert found[parts == part].tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_classifier_finds_the_train_examples_that_look_like_meta_examples() -> None:
    train_set = torch.cat([_gaussians(80, 0.0, 1), _gaussians(20, 4.0, 2)])
    found = in_distribution(train_set, _gaussians(15, 4.0, 3), torch.Generator().manual_seed(0))
    assert found[80:].min() > found[:80].max()
    assert found[80:].mean() > 10 * found[:80].mean()


def test_classifier_weighs_by_probability(make_trial: MakeTrial) -> None:
    method, context = built(make_trial, optim__epochs=4, method__name="ood_classifier")
    probabilities = method.compute_weights(0)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    method.begin_epoch(2)
    x, y = context.train.take(torch.arange(20))
    outcome = method.step(Batch(x, y, torch.arange(20), 20, is_last=True), 6, 2)
    expected = probabilities[:20] / probabilities[:20].sum()
    assert outcome.weights_B.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
