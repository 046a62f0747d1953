import numpy as np
import pytest

from l2rw_ray.statistics.posterior import probability_above, probability_within, shrunken_differences
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


def test_settings_are_drawn_together_as_far_as_errors_explain_them():
    alike, tau = shrunken_differences([0.1, 0.12, 0.09], [0.1, 0.1, 0.1])
    assert tau == 0.0
    assert alike == pytest.approx([np.mean([0.1, 0.12, 0.09])] * 3)
    apart, tau = shrunken_differences([-1.0, 1.0], [0.01, 0.01])
    assert apart == pytest.approx([-1.0, 1.0], abs=1e-3)
    assert tau == pytest.approx(2**0.5, abs=0.01)


def test_shrinking_halves_the_error_of_noisy_settings():
    rng, plain, shrunken = np.random.default_rng(2), 0.0, 0.0
    for _ in range(500):
        true = rng.normal(1, 0.3, 6)
        seen = true + rng.normal(0, 0.6, 6)
        plain += np.square(seen - true).sum()
        shrunken += np.square(np.array(shrunken_differences(seen.tolist(), [0.6] * 6)[0]) - true).sum()
    assert shrunken < 0.6 * plain
