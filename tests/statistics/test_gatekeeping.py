import numpy as np
import pytest

from l2rw_ray.statistics.gatekeeping import graphical_p_values
from l2rw_ray.statistics.significance import holm


def equal(number):
    return np.full(number, 1 / number), (1 - np.eye(number)) / max(number - 1, 1)


def test_equal_shares_are_holms_method():
    rng = np.random.default_rng(0)
    for number in (1, 2, 5, 9):
        p_values = (rng.random(number) ** 3).tolist()
        assert graphical_p_values(p_values, *equal(number)) == pytest.approx(list(holm(p_values)))


def test_a_fixed_order_stops_at_the_first_that_is_not_rejected():
    chain = np.diag([1.0, 1.0], 1)
    assert graphical_p_values([0.01, 0.04, 0.03], [1, 0, 0], chain) == pytest.approx([0.01, 0.04, 0.04])
    assert graphical_p_values([0.2, 0.001, 0.001], [1, 0, 0], chain)[1] >= 0.05
    assert graphical_p_values([None, 0.04, 0.03], [1, 0, 0], chain) == [None, *[pytest.approx(0.04)] * 2]


def test_any_true_null_is_rejected_once_in_twenty():
    """Two branches below a first test; the first and one branch are false nulls."""
    rng, wrong = np.random.default_rng(1), 0
    arrows = np.zeros((5, 5))
    arrows[0, [1, 2]] = 0.5
    arrows[1, [2, 3]] = 0.5
    arrows[2, [1, 4]] = 0.5
    arrows[3, 4] = arrows[4, 3] = 1.0
    for _ in range(4000):
        p_values = rng.random(5)
        p_values[[0, 1]] = 1e-6
        found = graphical_p_values(p_values.tolist(), [1, 0, 0, 0, 0], arrows)
        wrong += min(found[2:]) < 0.05
    assert wrong / 4000 < 0.05 + 0.01
