import numpy as np
import pytest

from l2rw_ray.statistics.posterior import probability_above, probability_within
from l2rw_ray.statistics.significance import paired_t_test


def test_the_posterior_agrees_with_the_t_test():
    for sample in np.random.default_rng(0).normal(0.5, 1, (20, 6)):
        above = probability_above(sample.tolist())
        assert 2 * min(above, 1 - above) == pytest.approx(paired_t_test(sample.tolist()))
        assert probability_within(sample.tolist(), 0.3) == pytest.approx(
            probability_above(sample.tolist(), -0.3) - probability_above(sample.tolist(), 0.3)
        )


def test_it_says_nothing_without_variation():
    assert probability_above([0.2]) is None
    assert probability_above([0.2, 0.2, 0.2]) is None
    assert probability_within([0.0, 0.0], 0.1) is None


def test_posterior_probabilities_are_calibrated_under_their_prior():
    """Of the studies that say 90 to 95 %, so many have a mean above zero if all means are as plausible."""
    rng, said, true = np.random.default_rng(1), [], []
    for _ in range(20_000):
        mean = rng.uniform(-10, 10)
        above = probability_above(rng.normal(mean, 1, 4).tolist())
        if 0.9 < above < 0.95:
            said.append(above)
            true.append(mean > 0)
    assert np.mean(true) == pytest.approx(np.mean(said), abs=0.06)
