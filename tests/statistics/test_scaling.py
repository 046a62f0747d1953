import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2rw_ray.statistics.intervals import half_width
from l2rw_ray.statistics.scaling import (
    Scaling,
    affine_law,
    lines,
    paired_ratio,
    power_law,
    serial_fraction,
    serial_fractions,
)

LEVELS = np.array([25.0, 50.0, 100.0, 200.0])


def by_seed(values_SL: np.ndarray) -> list[dict[int, float]]:
    return [dict(enumerate(column)) for column in values_SL.T.tolist()]


def coverage(values_RS: np.ndarray, truth: float) -> float:
    seeds = values_RS.shape[1]
    width_R = half_width(1.0, seeds, 0.95) * values_RS.std(axis=1, ddof=1)
    return float((np.abs(values_RS.mean(axis=1) - truth) <= width_R).mean())


@settings(deadline=None, max_examples=40)
@given(st.floats(1e-6, 1e6), st.floats(-3, 3), st.integers(2, 5), st.integers(1, 4))
def test_an_exact_power_law_is_recovered(factor, exponent, levels, seeds):
    x_L = [3.0 * 2**n for n in range(levels)]
    law = power_law(x_L, [dict.fromkeys(range(seeds), factor * x**exponent) for x in x_L])
    assert law.exponent.mean == pytest.approx(exponent, abs=1e-9)
    assert law.factor == pytest.approx(factor, rel=1e-8)
    assert (law.levels, law.exponent.n) == (levels, seeds)
    assert law.misfit == pytest.approx(0, abs=1e-9)
    assert law.at(7.0) == pytest.approx(factor * 7.0**exponent, rel=1e-8)


@settings(deadline=None, max_examples=40)
@given(st.floats(-5, 5), st.floats(-5, 5))
def test_an_exact_line_is_recovered(constant, slope):
    x_L = [0.1, 0.1, 0.5, 1.0]
    law = affine_law(x_L, [dict.fromkeys(range(3), constant + slope * x) for x in x_L])
    assert (law.constant.mean, law.slope.mean) == pytest.approx((constant, slope), abs=1e-9)
    assert law.levels == 3


def test_misfit_tells_that_the_law_does_not_hold():
    bent = [{0: 1.0, 1: 1.0}, {0: 2.0, 1: 2.0}, {0: 16.0, 1: 16.0}]
    law = power_law([1, 2, 4], bent)
    assert law.exponent.mean == pytest.approx(2)
    assert law.misfit == pytest.approx(1 - 2 ** (-2 / 3))
    assert affine_law([1, 2, 4], bent).misfit > 0.3


def test_fewer_than_two_levels_or_no_shared_seed_is_no_law():
    assert power_law([5, 5], [{0: 1.0}, {0: 2.0}]) is None
    assert power_law([5, 6], [{0: 1.0}, {1: 2.0}]) is None
    assert power_law([], []) is None
    assert affine_law([1, 2], [{0: 1.0}, {}]) is None
    assert paired_ratio({0: 1.0}, {1: 1.0}) is None
    assert serial_fraction(Scaling.STRONG, [2, 4], [{0: 1.0}, {0: 0.5}]) is None


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_what_has_no_logarithm_is_refused(bad):
    with pytest.raises(ValueError, match="above 0"):
        power_law([1, 2], [{0: 1.0}, {0: bad}])
    with pytest.raises(ValueError, match="above 0"):
        paired_ratio({0: bad}, {0: 1.0})


def test_one_seed_gives_no_limits():
    law = power_law([1, 2], [{0: 1.0}, {0: 2.0}])
    assert not law.exponent.is_conclusive
    assert not paired_ratio({0: 2.0}, {0: 1.0}).is_conclusive


def test_ratios_are_paired_and_invert():
    slow, fast = {0: 2.0, 1: 8.0, 2: 5.0}, {1: 4.0, 0: 1.0, 2: 2.0}
    ratio, inverse = paired_ratio(slow, fast), paired_ratio(fast, slow)
    assert ratio.mean == pytest.approx(10 ** (1 / 3))
    assert (inverse.low, inverse.high) == pytest.approx((1 / ratio.high, 1 / ratio.low))


@pytest.mark.parametrize("seeds", [3, 5])
def test_exponents_are_covered_as_often_as_promised(seeds):
    """Noise of a seed, and of each of its timings, on the logarithms."""
    rng = np.random.default_rng(seeds)
    shape = (4000, seeds, len(LEVELS))
    y_RSL = 0.5 * np.log(LEVELS) + rng.normal(0, 0.3, (*shape[:2], 1)) + rng.normal(0, 0.1, shape)
    _, slope = lines(np.log(LEVELS), y_RSL.reshape(-1, len(LEVELS)))
    slope_RS = slope.reshape(shape[:2])
    assert coverage(slope_RS, 0.5) == pytest.approx(0.95, abs=0.012)
    first = power_law(LEVELS.tolist(), by_seed(np.exp(y_RSL[0])))
    assert first.exponent.mean == pytest.approx(slope_RS[0].mean())
    width = half_width(float(slope_RS[0].std(ddof=1)), seeds, 0.95)
    assert first.exponent.high - first.exponent.mean == pytest.approx(width)


def test_lines_and_ratios_are_covered_as_often_as_promised():
    rng, shares = np.random.default_rng(6), np.array([0.05, 0.1, 0.4, 0.5, 1.0])
    y_RSL = 1.4 + 1.1 * shares + rng.normal(0, 0.05, (4000, 4, 1)) + rng.normal(0, 0.05, (4000, 4, 5))
    constant, slope = lines(shares, y_RSL.reshape(-1, 5))
    assert coverage(constant.reshape(4000, 4), 1.4) == pytest.approx(0.95, abs=0.012)
    assert coverage(slope.reshape(4000, 4), 1.1) == pytest.approx(0.95, abs=0.012)
    law = affine_law(shares.tolist(), by_seed(y_RSL[0]))
    assert (law.constant.mean, law.slope.mean) == pytest.approx((constant[:4].mean(), slope[:4].mean()))
    seed, times = rng.normal(0, 0.5, (1000, 4)), rng.normal(0, 0.1, (2, 1000, 4))
    slow, fast = 2 * np.exp(seed + times[0]), np.exp(seed + times[1])
    found = [paired_ratio(dict(enumerate(a)), dict(enumerate(b))) for a, b in zip(slow, fast, strict=True)]
    assert np.mean([each.low <= 2 <= each.high for each in found]) == pytest.approx(0.95, abs=0.02)


def test_levels_of_a_seed_counted_as_independent_would_cover_too_rarely():
    """Where the exponent itself varies from seed to seed, all points in one fit promise too much."""
    rng = np.random.default_rng(4)
    x_L = np.log(LEVELS) - np.log(LEVELS).mean()
    slope_RS = rng.normal(0.5, 0.2, (1500, 3))
    y_RSL = slope_RS[..., None] * x_L + rng.normal(0, 0.02, (1500, 3, 4))
    pooled_R = (y_RSL * x_L).sum(axis=(1, 2)) / (3 * (x_L**2).sum())
    rest_R = ((y_RSL - pooled_R[:, None, None] * x_L) ** 2).sum(axis=(1, 2)) / 10
    width_R = 2.228 * np.sqrt(rest_R / (3 * (x_L**2).sum()))
    assert float((np.abs(pooled_R - 0.5) <= width_R).mean()) < 0.85
    own_RS = (y_RSL * x_L).sum(axis=2) / (x_L**2).sum()
    assert coverage(own_RS, 0.5) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("scaling", "fraction"), [(Scaling.STRONG, 0.2), (Scaling.WEAK, 0.1)])
def test_serial_fractions_are_recovered_covered_and_projected(scaling, fraction):
    w_L, rng = np.array([1.0, 2.0, 4.0, 8.0]), np.random.default_rng(5)
    strong = scaling is Scaling.STRONG
    exact_L = fraction + (1 - fraction) / w_L if strong else w_L / (w_L - fraction * (w_L - 1))
    fitted = serial_fraction(scaling, w_L.astype(int).tolist(), by_seed(np.tile(exact_L, (3, 1))))
    assert fitted.interval.mean == pytest.approx(fraction)
    projected = 1 / (fraction + (1 - fraction) / 64) if strong else 64 - fraction * 63
    assert fitted.project(64).mean == pytest.approx(projected)
    t_RSL = exact_L * np.exp(rng.normal(0, 0.02, (3000, 5, 4)))
    s_RS = serial_fractions(scaling, w_L, t_RSL.reshape(-1, 4)).reshape(3000, 5)
    assert coverage(s_RS, fraction) == pytest.approx(0.95, abs=0.02)


def test_without_a_fraction_there_is_no_projection():
    slower = serial_fraction(Scaling.STRONG, [1, 2], [{0: 1.0, 1: 1.0}, {0: 1.2, 1: 1.3}])
    assert slower.interval.mean > 1
    assert slower.project(8) is None
    superlinear = serial_fraction(Scaling.STRONG, [1, 2], [{0: 1.0}, {0: 0.4}])
    assert superlinear.interval.mean < 0
    assert superlinear.project(8) is None
    mixed = serial_fraction(Scaling.STRONG, [1, 2], [{0: 1.0, 1: 1.0}, {0: 0.4, 1: 0.8}])
    assert mixed.project(8).mean == pytest.approx((8 / (0.6 + 0.4 / 8)) ** 0.5)
