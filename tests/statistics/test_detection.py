import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from l2rw_ray.statistics.detection import auroc, precision_at, quantiles


def test_the_area_is_that_of_scikit_learn_with_and_without_ties():
    rng = np.random.default_rng(0)
    positive = rng.random(500) < 0.2
    for suspicion in (rng.normal(size=500) + positive, rng.integers(0, 4, 500) + 1.0 * positive):
        assert auroc(suspicion, positive) == pytest.approx(roc_auc_score(positive, suspicion))


@pytest.mark.parametrize("positive", [[False, False], [True, True], []])
def test_one_kind_alone_has_no_area(positive):
    assert auroc(np.arange(len(positive), dtype=float), np.array(positive, dtype=bool)) is None


def test_precision_counts_the_most_suspect():
    positive = np.array([True, True, False, True, False, False, False, False, False, False])
    suspicion = -np.arange(10.0)
    assert precision_at(suspicion, positive, 0.2) == 1.0
    assert precision_at(suspicion, positive, 0.4) == 0.75
    assert precision_at(suspicion, positive, 0.001) == 1.0, "one is looked at in any case"
    assert precision_at(np.empty(0), np.empty(0, dtype=bool), 0.1) is None


def test_ties_count_as_if_broken_at_random():
    rng = np.random.default_rng(1)
    suspicion, positive = np.array([3.0, 1, 1, 1, 1, 0]), np.array([False, True, True, False, False, True])
    orders = [rng.permutation(6) for _ in range(4000)]
    drawn = [positive[order[np.argsort(-suspicion[order], kind="stable")[:3]]].mean() for order in orders]
    assert precision_at(suspicion, positive, 0.5) == pytest.approx(np.mean(drawn), abs=0.01)


def test_quantiles_leave_out_what_is_unknown():
    found = quantiles(np.array([5.0, np.nan, 1.0, 5.0, 9.0]))
    np.testing.assert_allclose(found, [0.5, np.nan, 0.125, 0.5, 0.875])
    assert np.isnan(quantiles(np.array([np.nan]))).all()
