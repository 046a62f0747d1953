"""Precision, layout and compilation: which combinations work, and exactly how."""

import copy
import gc
import weakref
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta import (
    ReweightedStep,
    example_scores,
    example_weights,
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


@pytest.mark.parametrize("estimator", ["ghost", "forward_mode", "second_order"])
def test_one_autocast_around_several_steps_computes_with_the_weights_of_each(estimator: str) -> None:
    moved = []
    for is_around in (True, False):
        case = make_case("lenet", train_size=16)
        network, start = case.network.float(), _parameters(case.network)
        step = ReweightedStep(
            network, torch.optim.SGD(network.parameters(), lr=0.1), LOSS, estimator=estimator, update_every=2
        )
        train, meta = ((x.float(), y) for x, y in (case.train, case.meta))
        with torch.autocast("cpu", torch.bfloat16) if is_around else nullcontext():
            for _ in range(6):
                with nullcontext() if is_around else torch.autocast("cpu", torch.bfloat16):
                    step(train, meta, torch.arange(16))
        moved.append(_parameters(network) - start.float())
    torch.testing.assert_close(moved[0], moved[1])


def test_bfloat16_and_channels_last_with_train_mode_batch_norm() -> None:
    case = make_case("batch_norm", train_size=32, meta_size=16)
    expected = example_weights(reference_scores(case.network, LOSS, case.train, case.meta))
    network = case.network.float().to(memory_format=torch.channels_last)
    train, meta = ((x.float().to(memory_format=torch.channels_last), y) for x, y in (case.train, case.meta))
    for estimator in ("forward_mode", "finite_difference"):
        found = example_weights(example_scores(network, LOSS, train, meta, estimator=estimator))
        assert torch.cosine_similarity(found.double(), expected, dim=0) > 0.999
    with torch.autocast("cpu", torch.bfloat16):
        found = example_weights(example_scores(network, LOSS, train, meta, estimator="forward_mode"))
    assert torch.cosine_similarity(found.double(), expected, dim=0) > 0.99


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("estimator", [*ESTIMATORS, "finite_difference"])
def test_a_gpu_gives_the_same_scores(estimator: str) -> None:
    case = make_case("lenet")
    expected = reference_scores(case.network, LOSS, case.train, case.meta)
    if estimator == "last_layer":
        expected = example_scores(case.network, LOSS, case.train, case.meta, estimator=estimator)
    train, meta = ((x.cuda(), y.cuda()) for x, y in (case.train, case.meta))
    found = example_scores(case.network.cuda(), LOSS, train, meta, estimator=estimator)
    assert relative_error(found.cpu(), expected) < 1e-5
