"""Runs of design points, each over its seeds."""

import math
from datetime import UTC, datetime

import pytest

from l2rw_ray.tracking.design_point_run import DesignPointRun, design_point_runs


def test_design_points_are_identified_by_arm_and_levels():
    intervals = {"test_accuracy": {"mean": 0.5, "low": math.nan, "high": math.nan, "n": 1}}
    point = DesignPointRun("l2rw", {"data.bias.level": 0.9}, intervals)
    assert point.metrics() == {"test_accuracy.mean": 0.5, "test_accuracy.n": 1.0}
    assert point.name == "l2rw · bias 0.9"
    assert point.key == DesignPointRun("l2rw", {"data.bias.level": 0.9}, {}).key
    assert point.key != DesignPointRun("uniform", {"data.bias.level": 0.9}, {}).key


def test_curves_are_means_over_seeds(folder):
    uniform, l2rw = design_point_runs(folder.path)
    assert (uniform.name, l2rw.name) == ("uniform", "l2rw")
    assert uniform.tags == {"method": "uniform"}
    assert uniform.curves["train_loss"] == pytest.approx({1: 1.5, 2: 0.75})
    assert uniform.curves["validation_balanced_accuracy"] == pytest.approx({1: 0.3, 2: 0.6})
    assert uniform.metrics()["train_loss"] == 0.75
    assert uniform.metrics()["test_balanced_accuracy.mean"] == pytest.approx(0.505)
    steps = [(p.name, p.step) for p in uniform.points(datetime(2024, 5, 1, tzinfo=UTC))]
    assert ("test_balanced_accuracy.mean", 0) in steps
    assert [step for name, step in steps if name == "train_loss"] == [1, 2]
