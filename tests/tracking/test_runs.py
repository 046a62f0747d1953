import math
from datetime import timedelta

from l2rw_ray.tracking.runs import (
    DesignPoint,
    factors_of,
    metric_points,
    outcome_of,
    trial_name,
    trial_params,
    trial_tags,
)


def test_names_say_arm_level_and_seed(trial_row):
    assert trial_name(trial_row) == "l2rw · bias 0.9 · seed 3"
    more = {**trial_row, "factor.method.update_every": 4, "factor.model.name": "mlp"}
    assert trial_name(more) == "l2rw · bias 0.9 · update_every 4 · model mlp · seed 3"


def test_params_are_the_flat_configuration(trial_row):
    params = trial_params(trial_row)
    assert params["data.bias.level"] == "0.9"
    assert params["method.name"] == "l2rw"
    assert params["seed"] == "3"
    assert params["resources.workers"] == "1"


def test_tags_leave_out_what_is_not_known(trial_row):
    tags = trial_tags(trial_row)
    assert tags["factor.data.bias.level"] == "0.9"
    assert tags["status"] == "completed"
    assert "error" not in tags
    assert len(trial_tags({**trial_row, "error": "x" * 10_000})["error"]) == 1000


def test_metrics_hold_each_epoch_and_the_final_figures_once(trial_row, history_rows):
    points = metric_points(trial_row, history_rows)
    curve = [(p.step, p.value) for p in points if p.name == "validation_balanced_accuracy"]
    assert curve == [(1, 0.6), (2, 0.7)]
    final = {p.name: (p.step, p.value) for p in points if p.step == 2}
    assert final["test_accuracy"] == (2, 0.8)
    assert final["phase_meta_s"] == (2, 0.5)
    assert {p.name for p in points}.isdisjoint(
        {"seed", "workers", "validation_loss", "factor.data.bias.level"}
    )
    assert points[0].at == trial_row["started_at"] + timedelta(seconds=2)


def test_another_run_of_a_trial_is_another_outcome(trial_row):
    later = {**trial_row, "started_at": trial_row["started_at"] + timedelta(days=1)}
    assert len({outcome_of(row) for row in (trial_row, later, {**trial_row, "status": "failed"})}) == 3


def test_factors_of_a_trial_beyond_the_plan_are_none(trial_row):
    assert factors_of({**trial_row, "factor.data.bias.level": None}) == {}


def test_design_points_are_identified_by_arm_and_levels():
    figures = {"test_accuracy": {"mean": 0.5, "low": math.nan, "high": math.nan, "n": 1}}
    point = DesignPoint("l2rw", {"data.bias.level": 0.9}, figures)
    assert point.metrics() == {"test_accuracy.mean": 0.5, "test_accuracy.n": 1.0}
    assert point.name == "l2rw · bias 0.9 · all seeds"
    assert point.key == DesignPoint("l2rw", {"data.bias.level": 0.9}, {}).key
    assert point.key != DesignPoint("uniform", {"data.bias.level": 0.9}, {}).key
