"""From scores to weights, and what weights tell."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.errors import InputError
from l2rw_ray.meta import effective_sample_size, example_weights, zero_weight_fraction

scores = st.lists(st.floats(-100, 100).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=1, max_size=20)


@given(scores)
def test_weights_sum_to_one_or_are_all_zero(values: list[float]) -> None:
    weights = example_weights(torch.tensor(values, dtype=torch.float64))
    assert (weights >= 0).all()
    assert weights.sum().item() == pytest.approx(1.0 if max(values) > 0 else 0.0)
    assert torch.equal(weights > 0, torch.tensor(values) > 0)


@given(scores, st.floats(1e-3, 1e3), st.randoms())
def test_weights_do_not_depend_on_scale_or_order(values: list[float], scale: float, random) -> None:
    tensor = torch.tensor(values, dtype=torch.float64)
    order = list(range(len(values)))
    random.shuffle(order)
    torch.testing.assert_close(example_weights(scale * tensor[order]), example_weights(tensor)[order])


@pytest.mark.parametrize(
    ("clip", "normalise", "expected"),
    [
        ("relu", "batch_sum", [0.25, 0.0, 0.75]),
        ("abs", "batch_sum", [0.125, 0.5, 0.375]),
        ("none", "batch_sum", [0.125, -0.5, 0.375]),
        ("relu", "none", [1.0, 0.0, 3.0]),
        ("relu", "mean_one", [0.75, 0.0, 2.25]),
    ],
)
def test_rules_by_hand(clip, normalise, expected: list[float]) -> None:
    found = example_weights(torch.tensor([1.0, -4.0, 3.0]), clip, normalise)
    assert found.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("rule", [{"clip": "rleu"}, {"normalise": "sum"}])
def test_unknown_rule_is_refused(rule: dict) -> None:
    with pytest.raises(InputError, match="unknown; use"):
        example_weights(torch.ones(2), **rule)


def test_diagnostics_by_hand() -> None:
    assert effective_sample_size(torch.tensor([0.25] * 4)).item() == pytest.approx(4)
    assert effective_sample_size(torch.tensor([1.0, 0.0])).item() == 1
    assert effective_sample_size(torch.zeros(3)).item() == 0
    assert zero_weight_fraction(torch.tensor([0.0, 1.0, 0.0, 1.0])).item() == 0.5


@pytest.mark.parametrize("scores", [[1.0, 2.0], torch.ones(2, 1), torch.tensor(1.0)])
def test_what_are_no_scores_is_one_line(scores) -> None:
    with pytest.raises(InputError, match=r"scores_B = .*: (no tensor|not one number for each example); give"):
        example_weights(scores)
