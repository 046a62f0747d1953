"""At equal training time a method that is cut off before it overfits gains nothing."""

from dataclasses import replace

import numpy as np
import pytest

from l2rw_ray.report.ablation.effects import History
from l2rw_ray.report.ablation.equal_compute import equal_compute
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.setting import Setting
from tests.report.ablation.test_divergence import METHODS

METRIC = "validation_rmse"
EPOCHS = tuple(range(1, 21))


def histories(rng, seeds, slower):
    """Both methods have the same curve per epoch; it turns up after epoch 8, and l2rw takes longer."""
    curve = np.array([1 - 0.05 * min(epoch, 8) + 0.03 * max(epoch - 8, 0) for epoch in EPOCHS])
    return {
        (method, Setting(()), seed): History(
            EPOCHS,
            tuple(cost * epoch for epoch in EPOCHS),
            tuple(curve + rng.normal(0, 0.01, len(EPOCHS))),
        )
        for method, cost in (("uniform", 1.0), ("l2rw", slower))
        for seed in range(seeds)
    }


def results(found):
    points = [DesignPoint(method, Setting(()), {}, {}, True) for method in ("uniform", "l2rw")]
    return equal_compute(METHODS, points, found, METRIC)


def test_a_method_counts_with_its_best_epoch_within_the_budget():
    control, l2rw = results(histories(np.random.default_rng(0), 4, 2.0))
    assert control.value.mean == pytest.approx(0.6, abs=0.02)
    assert l2rw.value.mean == pytest.approx(0.6, abs=0.02)
    assert (control.used, l2rw.used) == (1.0, 0.5)
    late = {key: replace(each, times_s=(50.0, *each.times_s[1:])) for key, each in
            histories(np.random.default_rng(0), 2, 30.0).items()}  # fmt: skip
    assert results(late) == (), "no epoch of l2rw ends within the budget"


def test_being_cut_off_is_not_called_better():
    rng, claims = np.random.default_rng(1), 0
    for _ in range(40):
        _, l2rw = results(histories(rng, 3, 2.0))
        difference = l2rw.comparison.difference
        claims += l2rw.comparison.is_clear and difference.interval.mean < 0
    assert claims <= 4
