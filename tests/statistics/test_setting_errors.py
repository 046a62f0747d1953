"""Error variances of settings: their draws against the posterior integrated otherwise."""

import numpy as np
import pytest

from l2rw_ray.statistics.setting_errors import draw_error_variances

SHARES = (0.1, 0.5, 0.9)


def test_draws_are_those_of_the_posterior():
    """By weighted draws from wide distributions, with the density of values less their mean in full."""
    rng = np.random.default_rng(0)
    values_JS = 0.7 * rng.normal(size=5) + np.array([0.5, 1.0, 3.0])[:, None] * rng.normal(size=(3, 5))
    found = draw_error_variances(np.random.default_rng(1), values_JS)
    log_N = rng.normal(0, 2, (250_000, 5))
    size_N, total_N, own_N3 = np.exp(log_N[:, 0]), np.exp(log_N[:, 1]), np.exp(log_N[:, 2:])
    shared_N = total_N - 1 / (1 / own_N3).sum(axis=1)
    log_N, size_N, own_N3, shared_N = (each[shared_N > 0] for each in (log_N, size_N, own_N3, shared_N))
    covariance = shared_N[:, None, None] + own_N3[:, :, None] * np.eye(3)
    centred_3S = values_JS - values_JS.mean(axis=1, keepdims=True)
    squares = np.einsum("nij,ji->n", np.linalg.inv(covariance), centred_3S @ centred_3S.T)
    density = -(5 - 1) / 2 * np.linalg.slogdet(covariance)[1] - squares / 2
    # own variances around their size; Jeffreys' priors of size and total are flat in the logarithm
    density += (np.log(size_N / own_N3.T) / 2 - size_N / (2 * own_N3.T)).sum(axis=0)
    density += np.square(log_N).sum(axis=1) / (2 * 2**2)
    weight = np.exp(density - density.max())
    assert weight.sum() ** 2 / np.square(weight).sum() > 1500
    drawn = [*found.own_RJ.T, found.shared_R]
    for own_R, expected_N in zip(drawn, [*own_N3.T, shared_N], strict=True):
        order = np.argsort(expected_N)
        places = np.searchsorted(np.cumsum(weight[order]), np.array(SHARES) * weight.sum())
        expected = np.sqrt(expected_N[order][places])
        assert np.sqrt(np.quantile(own_R, SHARES)) == pytest.approx(expected, rel=0.15, abs=0.05)


def test_many_seeds_know_every_variance():
    rng, sizes = np.random.default_rng(2), np.array([0.1, 1.0, 5.0])
    values_JS = 2 * rng.normal(size=400) + sizes[:, None] * rng.normal(size=(3, 400))
    found = draw_error_variances(rng, values_JS)
    assert np.sqrt(np.median(found.own_RJ, axis=0)[1:]) == pytest.approx(sizes[1:], rel=0.1)
    assert np.sqrt(np.median(found.shared_R)) == pytest.approx(2.0, rel=0.1)


def test_settings_that_mirror_each_other_share_nothing():
    error_S = np.random.default_rng(3).normal(size=100)
    found = draw_error_variances(np.random.default_rng(4), np.stack([error_S, -error_S, 0.001 * error_S]))
    assert np.quantile(found.shared_R, 0.9) < 0.01 * error_S.var()
