"""Methods for unequal classes: their weights, draws and losses, by hand and beside other libraries'."""

import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional
from torch.utils.data import WeightedRandomSampler
from torchvision.ops import sigmoid_focal_loss

from l2rw_ray.config.method.imbalance import LdamDrwConfig
from l2rw_ray.data import Batch, ExampleSet
from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.events import EpochCompleted
from l2rw_ray.methods.builtin.class_weights import effective_number_weights, inverse_frequency_weights
from l2rw_ray.methods.builtin.focal import focal_loss
from l2rw_ray.methods.builtin.ldam_drw import CosineLayer, LdamDrwMethod, ldam_loss, margins
from tests.methods.conftest import built
from tests.training.conftest import MakeTrial, train

COUNTS = torch.tensor([8.0, 1.0, 0.0, 3.0], dtype=torch.float64)
CROSS_ENTROPY = nn.CrossEntropyLoss(reduction="none")


def _batch(examples: ExampleSet, positions: torch.Tensor) -> Batch:
    return Batch(*examples.take(positions), positions, len(positions), is_last=True)


def test_inverse_frequencies_are_scikit_learns_balanced_weights() -> None:
    labels = torch.arange(4).repeat_interleave(COUNTS.long()).numpy()
    expected = compute_class_weight("balanced", classes=torch.tensor([0, 1, 3]).numpy(), y=labels)
    assert inverse_frequency_weights(COUNTS)[[0, 1, 3]].tolist() == pytest.approx(expected.tolist())
    assert inverse_frequency_weights(COUNTS)[2] == 0


def test_effective_numbers_by_hand() -> None:
    weights = effective_number_weights(COUNTS, beta=0.5)
    by_hand = torch.tensor([1 / (1 - 0.5**8), 1 / (1 - 0.5), 0, 1 / (1 - 0.5**3)])
    assert (weights / weights[1]).tolist() == pytest.approx((by_hand / by_hand[1]).tolist())
    assert (weights * COUNTS).sum().item() == pytest.approx(COUNTS.sum().item())
    assert effective_number_weights(COUNTS, beta=0.0).tolist() == [1, 1, 0, 1]
    nearly = effective_number_weights(COUNTS, beta=1 - 1e-9)
    assert nearly.tolist() == pytest.approx(inverse_frequency_weights(COUNTS).tolist(), rel=1e-6)


@pytest.mark.parametrize("name", ["inverse_frequency", "class_balanced"])
def test_a_step_is_torchs_weighted_cross_entropy(name: str, make_trial: MakeTrial) -> None:
    """Its weights count the labels given, the corrupted ones too."""
    method, context = built(make_trial, method__name=name)
    counts = torch.bincount(context.train.labels, minlength=10).double()
    weights = 1 / counts if name == "inverse_frequency" else 1 / (1 - 0.9999**counts)
    batch = _batch(context.train, torch.arange(20))
    expected = functional.cross_entropy(context.model(batch.x), batch.y, weight=weights.float())
    outcome = method.step(batch, 0, 0)
    assert outcome.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert outcome.weights_B.sum().item() == pytest.approx(1)


def test_resampling_draws_as_torchs_sampler_does(make_trial: MakeTrial) -> None:
    bias = {"kind": "dominant_class", "level": 0.6, "class": 3}
    method, context = built(make_trial, method__name="resample", data__bias=bias)
    labels = context.train.labels
    drawn = torch.cat([labels[method.begin_epoch(epoch).order] for epoch in range(200)])
    weights = (1 / labels.bincount().double())[labels]
    sampler = WeightedRandomSampler(weights, len(drawn), generator=torch.Generator().manual_seed(0))
    expected = labels[torch.tensor(list(sampler))].bincount().double() / len(drawn)
    assert (drawn.bincount() / len(drawn)).tolist() == pytest.approx(expected.tolist(), abs=0.015)
    assert method.begin_epoch(7).order.equal(method.begin_epoch(7).order)
    assert not method.begin_epoch(7).order.equal(method.begin_epoch(8).order)


def test_resampled_epochs_have_the_steps_of_others(make_trial: MakeTrial) -> None:
    events = train(make_trial(method__name="resample"))
    epochs = [event for event in events if isinstance(event, EpochCompleted)]
    assert [epoch.step for epoch in epochs] == [3, 6]
    assert 0.4 < epochs[0].metrics["visited_fraction"] < 0.8


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_of_two_classes_is_torchvisions(gamma: float) -> None:
    logits = torch.randn(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    labels = torch.arange(40) % 2
    expected = sigmoid_focal_loss(logits[:, 1] - logits[:, 0], labels.double(), alpha=-1, gamma=gamma)
    torch.testing.assert_close(focal_loss(CROSS_ENTROPY, gamma)(logits, labels), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_loss_has_a_slope_where_the_prediction_is_certain(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 0.0]], requires_grad=True)
    losses = focal_loss(CROSS_ENTROPY, gamma)(logits, torch.zeros(2).long())
    losses.sum().backward()
    assert losses[0] == 0
    assert logits.grad[0].tolist() == [0, 0]
    assert logits.grad[1, 0] < 0


def test_focal_method_trains_on_that_loss(make_trial: MakeTrial) -> None:
    method, context = built(make_trial, method={"name": "focal", "gamma": 1.5})
    batch = _batch(context.train, torch.arange(20))
    expected = focal_loss(CROSS_ENTROPY, 1.5)(context.model(batch.x), batch.y).mean()
    assert method.step(batch, 0, 0).loss.item() == pytest.approx(expected.item())


def test_margins_and_loss_by_hand() -> None:
    """Counts 16 and 1 have roots 1/2 and 1, so margins 1/4 and 1/2; logits are cosines times 10."""
    found = margins(torch.tensor([16.0, 1.0, 0.0]), 0.5)
    assert found.tolist() == [0.25, 0.5, 0.0]
    logits = torch.tensor([[3.0, 1.0, 0.0], [3.0, 1.0, 0.0]])
    losses = ldam_loss(CROSS_ENTROPY, 10 * found)(logits, torch.tensor([0, 1]))
    first = torch.tensor([3 - 2.5, 1, 0]).log_softmax(0)[0]
    second = torch.tensor([3, 1 - 5.0, 0]).log_softmax(0)[1]
    assert losses.tolist() == pytest.approx([-first.item(), -second.item()])


def test_ldam_layer_gives_scaled_cosines_in_place_of_the_last_layer(make_trial: MakeTrial) -> None:
    _, context = built(make_trial, method={"name": "ldam_drw", "scale": 7.0})
    *features, layer = context.model
    assert isinstance(layer, CosineLayer)
    assert layer.weight.norm(dim=1).tolist() == pytest.approx([1.0] * 10)
    x, _ = context.train.take(torch.arange(5))
    cosines = functional.cosine_similarity(nn.Sequential(*features)(x)[:, None], layer.weight[None], dim=2)
    torch.testing.assert_close(context.model(x), 7 * cosines)
    context.restart()
    assert layer.scale == 7
    section = LdamDrwConfig(name="ldam_drw")
    alone = LdamDrwMethod.adapt(nn.Linear(4, 3), section)
    assert alone.weight.shape == (3, 4)
    with pytest.raises(UnsupportedModelError, match="model = 'Sequential': it has no linear layer"):
        LdamDrwMethod.adapt(nn.Sequential(nn.Flatten()), section)
    object.__setattr__(context, "model", nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    with pytest.raises(UnsupportedModelError, match="no normalised output layer"):
        LdamDrwMethod(section, context)


@pytest.mark.parametrize(("epochs", "first"), [(1, 0), (2, 1), (3, 2), (5, 4), (10, 8)])
def test_ldam_weights_the_last_epoch_at_least(make_trial: MakeTrial, epochs: int, first: int) -> None:
    method, context = built(make_trial, method__name="ldam_drw", optim__epochs=epochs)
    batch = _batch(context.train, torch.arange(20))
    weighted = [method.step(batch, 0, epoch).weights_B is not None for epoch in range(epochs)]
    assert weighted.index(True) == first


def test_ldam_weights_come_in_late(make_trial: MakeTrial) -> None:
    """Four of five epochs by default; then the loss is the weighted one of the authors' code."""
    method, context = built(make_trial, method__name="ldam_drw", optim__epochs=5)
    batch = _batch(context.train, torch.arange(20))
    counts = torch.bincount(context.train.labels, minlength=10).double()
    losses = ldam_loss(CROSS_ENTROPY, 30 * margins(counts, 0.5))(context.model(batch.x), batch.y)
    first = method.step(batch, 0, 3)
    assert first.weights_B is None
    assert first.loss.item() == pytest.approx(losses.mean().item())
    context.restart()
    weights = (1 / (1 - 0.9999**counts))[batch.y]
    later = method.step(batch, 0, 4)
    assert later.weights_B.tolist() == pytest.approx((weights / weights.sum()).tolist(), rel=1e-5)
    assert later.loss.item() == pytest.approx((weights @ losses.double() / weights.sum()).item(), rel=1e-5)
