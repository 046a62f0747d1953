"""Scores are what Algorithm 1 says, and computing them leaves no trace."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from l2rw_ray.errors import InputError
from l2rw_ray.meta import example_scores, reference_scores
from tests.meta.networks import BUILDERS, LOSS, batch, lookahead_slopes, make_case, relative_error


@pytest.mark.parametrize("seed", [0, 4])
@pytest.mark.parametrize("name", BUILDERS)
def test_reference_equals_finite_differences_of_the_whole_procedure(name: str, seed: int) -> None:
    case = make_case(name, train_size=4, meta_size=3, seed=seed)
    found = reference_scores(case.network, LOSS, case.train, case.meta)
    expected = lookahead_slopes(case)
    assert relative_error(found, expected) < 1e-9
    assert relative_error(found * (1 + 1e-8), expected) > 1e-9


@pytest.mark.parametrize("name", BUILDERS)
@settings(max_examples=8, deadline=None)
@given(train_size=st.integers(2, 16), meta_size=st.integers(2, 8), seed=st.integers(0, 9))
def test_forward_mode_equals_the_reference(name: str, train_size: int, meta_size: int, seed: int) -> None:
    case = make_case(name, train_size, meta_size, seed)
    expected = reference_scores(case.network, LOSS, case.train, case.meta)
    found = example_scores(case.network, LOSS, case.train, case.meta, estimator="forward_mode")
    assert relative_error(found, expected) < 1e-9
    assert relative_error(found + 1e-8 * expected.norm(), expected) > 1e-9


def test_single_precision_is_close() -> None:
    case = make_case("lenet")
    expected = reference_scores(case.network, LOSS, case.train, case.meta)
    (x, y), (x_meta, y_meta) = case.train, case.meta
    found = example_scores(case.network.float(), LOSS, (x.float(), y), (x_meta.float(), y_meta))
    assert relative_error(found.double(), expected) < 1e-4


def test_score_is_proportional_to_the_learning_rate_of_the_lookahead() -> None:
    case = make_case("mlp")
    once = reference_scores(case.network, LOSS, case.train, case.meta)
    torch.testing.assert_close(
        reference_scores(case.network, LOSS, case.train, case.meta, learning_rate=0.25), 0.25 * once
    )


@pytest.mark.parametrize("compute", [example_scores, reference_scores])
def test_nothing_is_written(compute) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(make_case("batch_norm").network, nn.Dropout(0.5))
    before = copy.deepcopy(network.state_dict())
    generator = torch.get_rng_state()
    first = compute(network, LOSS, batch(6), batch(4))
    assert first.shape == (6,)
    assert not first.requires_grad
    assert all(torch.equal(now, before[name]) for name, now in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    torch.set_rng_state(generator)
    x, y = batch(6), batch(4)
    now = torch.get_rng_state()
    compute(network, LOSS, x, y)
    assert torch.equal(torch.get_rng_state(), now)


def test_unknown_estimator_and_scalar_loss_are_refused() -> None:
    case = make_case("mlp")
    with pytest.raises(InputError, match=r"estimator = 'magic': unknown; use one of forward_mode"):
        example_scores(case.network, LOSS, case.train, case.meta, estimator="magic")
    with pytest.raises(InputError, match="reduction='none'"):
        example_scores(case.network, nn.CrossEntropyLoss(), case.train, case.meta)
