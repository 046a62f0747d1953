"""Precision, layout, accumulation, clipping and compilation: which combinations work, and exactly how."""

import copy
import gc
import logging
import weakref

import pytest
import torch
from torch import nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta import (
    HealthMonitor,
    ReweightedStep,
    WeightHealth,
    example_scores,
    example_weights,
    failure_signatures,
    reference_scores,
)
from l2rw_ray.models import build_model
from tests.meta.networks import LOSS, batch, make_case, relative_error

ESTIMATORS = ("ghost", "forward_mode", "second_order", "last_layer")


def _parameters(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


@pytest.mark.parametrize("name", ["lenet", "group_norm", "tokens"])
@pytest.mark.parametrize("estimator", ESTIMATORS[:3])
def test_bfloat16_autocast_gives_nearly_the_same_weights(estimator: str, name: str) -> None:
    case = make_case(name, train_size=32, meta_size=16)
    expected = example_weights(reference_scores(case.network, LOSS, case.train, case.meta))
    network = case.network.float()
    (x, y), (x_meta, y_meta) = case.train, case.meta
    step = ReweightedStep(network, torch.optim.SGD(network.parameters(), lr=0.1), LOSS, estimator=estimator)
    before = _parameters(network)
    with torch.autocast("cpu", torch.bfloat16):
        result = step((x.float(), y), (x_meta.float(), y_meta))
    assert torch.cosine_similarity(result.weights.double(), expected, dim=0) > 0.99
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in network.parameters())
    assert (_parameters(network) - before).norm() > 1e-4


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", ["lenet", "group_norm", "batch_norm_eval"])
def test_channels_last_is_the_same_computation(estimator: str, name: str) -> None:
    case = make_case(name)
    expected = example_scores(case.network, LOSS, case.train, case.meta, estimator=estimator)
    network = case.network.to(memory_format=torch.channels_last)
    wide = [(x.to(memory_format=torch.channels_last), y) for x, y in (case.train, case.meta)]
    found = example_scores(network, LOSS, wide[0], wide[1], estimator=estimator)
    assert relative_error(found, expected) < 1e-9


def test_sliced_inputs_are_the_same_computation() -> None:
    case = make_case("lenet")
    x, y = case.train
    strided = torch.stack([x, x], dim=-1)[..., 0]
    assert not strided.is_contiguous()
    expected = example_scores(case.network, LOSS, case.train, case.meta)
    assert relative_error(example_scores(case.network, LOSS, (strided, y), case.meta), expected) < 1e-9


@pytest.mark.parametrize("estimator", ["ghost", "forward_mode"])
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


@pytest.mark.parametrize("estimator", ["ghost", "finite_difference"])
def test_a_compiled_model_takes_the_same_step(estimator: str) -> None:
    case = make_case("mlp", train_size=12)
    plain = copy.deepcopy(case.network)
    compiled = torch.compile(case.network, backend="eager")
    results = []
    for model in (compiled, plain):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step = ReweightedStep(model, optimizer, LOSS, estimator=estimator)
        results.append([step(case.train, case.meta) for _ in range(2)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found.weights, expected.weights, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(_parameters(case.network), _parameters(plain), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("estimator", ["forward_mode", "second_order", "last_layer"])
def test_a_compiled_model_is_refused_where_it_cannot_be_treated(estimator: str) -> None:
    case = make_case("mlp")
    step = ReweightedStep(
        torch.compile(case.network, backend="eager"),
        torch.optim.SGD(case.network.parameters(), lr=0.1),
        LOSS,
        estimator=estimator,
    )
    with pytest.raises(UnsupportedModelError, match="compiled model; use 'ghost'"):
        step(case.train, case.meta)


def test_running_statistics_are_written_once_and_as_by_plain_training() -> None:
    for estimator in ("forward_mode", "finite_difference", "central_difference", "second_order"):
        case = make_case("batch_norm")
        twin = copy.deepcopy(case.network)
        trained = [p for p in case.network.parameters() if p.requires_grad]
        step = ReweightedStep(case.network, torch.optim.SGD(trained, lr=0.0), LOSS, estimator=estimator)
        step(case.train, case.meta)
        twin(case.train[0])
        torch.testing.assert_close(dict(case.network.named_buffers()), dict(twin.named_buffers()))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_nothing_of_a_step_outlives_it(estimator: str) -> None:
    """Without waiting for the collector: what is alive behind a step is memory at the next one's peak."""
    network = build_model("lenet", (1, 8, 8), 10)
    step = ReweightedStep(network, torch.optim.SGD(network.parameters(), lr=0.1), LOSS, estimator=estimator)
    (x, y), (x_meta, y_meta) = batch(6), batch(4)
    step((x.float(), y), (x_meta.float(), y_meta))
    alive: list[weakref.ref] = []
    network[4].register_forward_hook(lambda layer, inputs, output: alive.append(weakref.ref(output)))
    gc.collect()
    gc.disable()
    try:
        step((x.float(), y), (x_meta.float(), y_meta))
        assert alive
        assert all(reference() is None for reference in alive)
    finally:
        gc.enable()


def test_score_momentum_by_hand() -> None:
    case = make_case("mlp", train_size=4)
    optimizer = torch.optim.SGD(case.network.parameters(), lr=0.0)
    step = ReweightedStep(case.network, optimizer, LOSS, score_momentum=0.75, clip="abs", normalise="none")
    first = step(case.train, case.meta, torch.tensor([0, 1, 2, 3]))
    other = batch(4)
    second = step(other, case.meta, torch.tensor([2, 7, 0, 8]))
    fresh = example_scores(case.network, LOSS, other, case.meta)
    earlier = first.scores[torch.tensor([2, 0, 0, 0])]
    mixed = 0.75 * earlier + 0.25 * fresh
    expected = torch.stack([mixed[0], fresh[1], 0.75 * first.scores[0] + 0.25 * fresh[2], fresh[3]])
    torch.testing.assert_close(second.weights, expected.abs())


def test_direction_is_used_again() -> None:
    case = make_case("mlp")
    optimizer = torch.optim.SGD(case.network.parameters(), lr=0.1)
    step = ReweightedStep(case.network, optimizer, LOSS, meta_gradient_every=3)
    metas = [batch(4) for _ in range(4)]
    results = [step(batch(5), meta) for meta in metas]
    assert [result.direction_cosine is not None for result in results] == [False, False, False, True]
    frozen = ReweightedStep(
        case.network, torch.optim.SGD(case.network.parameters(), lr=0.0), LOSS, meta_gradient_every=2
    )
    train = batch(5)
    first = frozen(train, metas[0])
    second, third = frozen(train, metas[1]), frozen(train, metas[1])
    torch.testing.assert_close(second.scores, first.scores, rtol=1e-9, atol=1e-12)
    assert relative_error(third.scores, first.scores) > 0.01, "the third step looks at its meta batch again"


@pytest.mark.parametrize(
    ("health", "name", "advice"),
    [
        (WeightHealth(0.3, 0.3), "skipped_steps", "clean or balance the meta set"),
        (WeightHealth(0.0, 0.02), "few_examples", "lower the learning rate"),
        (WeightHealth(0.0, 0.3, direction_cosine=-0.2), "restless_direction", "larger meta set"),
        (WeightHealth(0.0, 0.3, 0.9, 0.5, 0.4), "trusted_corruption", "check the labels"),
    ],
)
def test_each_failure_signature_says_what_to_do(health: WeightHealth, name: str, advice: str) -> None:
    (found,) = failure_signatures(health)
    assert found.name == name
    assert advice in found.message


def test_healthy_weights_raise_no_warning() -> None:
    assert not failure_signatures(WeightHealth(0.01, 0.3, 0.8, 0.1, 0.4))


def test_a_step_warns_once_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    case = make_case("mlp", train_size=6)
    u = example_scores(case.network, LOSS, case.train, case.meta)
    bad = (case.train[0][u < 0], case.train[1][u < 0])
    step = ReweightedStep(case.network, torch.optim.SGD(case.network.parameters(), lr=0.1), LOSS)
    step._monitor = HealthMonitor(window=2)
    with caplog.at_level(logging.WARNING):
        for _ in range(6):
            step(bad, case.meta)
    assert [signature.name for signature in step.warnings] == ["skipped_steps"]
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "after 2 steps: no example had a positive weight on 100% of the steps"
    )
