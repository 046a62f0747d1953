"""What so few seeds, and one test set, cannot show is said."""

from dataclasses import replace

import numpy as np
import pytest

from l2rw_ray.report.comparisons.cautions import cautions, shared_test_set
from l2rw_ray.report.design_points.labels import HEADLINE
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.statistics import mean_interval
from tests.report.ablation.test_divergence import compared


def test_few_seeds_find_differences_that_are_too_large():
    uniform = np.linspace(0.5, 0.6, 5)
    clear = compared(uniform + np.array([0.1, 0.11, 0.12, 0.1, 0.11]), uniform, ())
    assert cautions([clear]) == (
        "With 5 seeds differences that are found tend to be too large, and a failure that strikes up to 45 % "
        "of runs may have gone unseen",
    )
    many = np.linspace(0.5, 0.6, 15)
    assert cautions([compared(many + np.linspace(0.1, 0.12, 15), many, ())]) == (
        "With 15 seeds a failure that strikes up to 18 % of runs may have gone unseen",
    )
    assert cautions([]) == ()


def outcomes(hashes, size=200, value=0.8):
    row = {"status": "completed", "reason": None, HEADLINE: value, "split_sizes": [("test", size)]}
    return [
        Outcome("x", seed, "l2rw", Setting(()), {**row, "split_hash_test": digest})
        for seed, digest in enumerate(hashes)
    ]


def test_a_shared_test_set_is_named_with_the_luck_of_its_examples():
    (warning,) = shared_test_set(outcomes(["a"] * 3), HEADLINE)
    assert warning == (
        "All seeds are tested on the same 200 examples: intervals are over seeds, with this test set; its "
        "luck, about ±5.5 points for each arm, is in none of them"
    )
    assert shared_test_set(outcomes(["a", "b", "c"]), HEADLINE) == ()
    assert shared_test_set([replace(each, row=None) for each in outcomes(["a"] * 3)], HEADLINE) == ()


@pytest.mark.parametrize("examples", [200, 5000])
def test_the_luck_that_is_named_is_what_intervals_over_seeds_lack(examples):
    """Both arms are equal; all seeds share the test examples, which favour one of them by chance."""
    rng, covered, named = np.random.default_rng(examples), 0, 0
    half = 1.96 * np.sqrt(0.8 * 0.2 / examples) * np.sqrt(2)
    for _ in range(1000):
        luck = rng.normal(0, np.sqrt(0.8 * 0.2 / examples))
        interval = mean_interval(luck + rng.normal(0, 0.03, 5))
        covered += interval.low <= 0 <= interval.high
        named += interval.low - half <= 0 <= interval.high + half
    assert named / 1000 >= 0.95
    assert (covered / 1000 < 0.85) == (examples == 200)
