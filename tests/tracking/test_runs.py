import json
import math
from datetime import timedelta

import pytest

from l2rw_ray.tracking.runs import (
    DesignPointRun,
    factor_tags,
    factors_of,
    metric_points,
    outcome_of,
    trial_files,
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
    assert [p.value for p in points if p.name == "epoch_duration_s"] == [2.0, 2.0]
    assert [p.value for p in points if p.name == "duration_s"] == [10.0]
    assert points[0].at == trial_row["started_at"] + timedelta(seconds=2)


def test_another_run_of_a_trial_is_another_outcome(trial_row):
    later = {**trial_row, "started_at": trial_row["started_at"] + timedelta(days=1)}
    assert len({outcome_of(row) for row in (trial_row, later, {**trial_row, "status": "failed"})}) == 3


def test_factors_of_a_trial_beyond_the_plan_are_none(trial_row):
    assert factors_of({**trial_row, "factor.data.bias.level": None}) == {}


def test_design_points_are_identified_by_arm_and_levels():
    intervals = {"test_accuracy": {"mean": 0.5, "low": math.nan, "high": math.nan, "n": 1}}
    point = DesignPointRun("l2rw", {"data.bias.level": 0.9}, intervals)
    assert point.metrics() == {"test_accuracy.mean": 0.5, "test_accuracy.n": 1.0}
    assert point.name == "l2rw · bias 0.9 · all seeds"
    assert point.key == DesignPointRun("l2rw", {"data.bias.level": 0.9}, {}).key
    assert point.key != DesignPointRun("uniform", {"data.bias.level": 0.9}, {}).key


@pytest.fixture
def series_rows():
    sizes = {1: [8.0, None], 2: [None, None]}
    return [
        {"epoch": epoch, "step": [10 * epoch - 5, 10 * epoch], "train_loss": [0.5, 0.25]}
        | {"effective_sample_size": sizes[epoch]}
        for epoch in (1, 2)
    ]


def test_series_have_steps_for_an_axis_and_names_of_their_own(trial_row, history_rows, series_rows):
    points = metric_points(trial_row, history_rows, series_rows)
    losses = [(p.step, p.value) for p in points if p.name == "step/train_loss"]
    assert losses == [(5, 0.5), (10, 0.25), (15, 0.5), (20, 0.25)]
    assert [(p.step, p.value) for p in points if p.name == "step/effective_sample_size"] == [(5, 8.0)]
    assert {p.step for p in points if not p.name.startswith("step/")} == {1, 2}
    last = [p for p in points if p.name.startswith("step/")][-1]
    assert last.at == trial_row["started_at"] + timedelta(seconds=4)


def test_long_series_are_thinned_and_keep_their_end(trial_row, history_rows):
    steps = list(range(1, 1001))
    epoch = {"epoch": 1, "step": steps, "train_loss": [1.0] * 1000, "effective_sample_size": [None] * 1000}
    points = [p.step for p in metric_points(trial_row, history_rows, [epoch]) if p.name == "step/train_loss"]
    assert 200 < len(points) <= 300
    assert points[-1] == 1000


def test_levels_are_tags_of_short_names(trial_row):
    assert trial_tags(trial_row)["bias"] == "0.9"
    assert factor_tags({"data.bias.level": 0.9, "data.noise.rate": 0.2}) == {"bias": "0.9", "noise": "0.2"}
    assert factor_tags({"a.bias.level": 1, "b.bias.level": 2}) == {}
    assert factor_tags({"method.seed": 1}) == {}, "the seed is another tag"


def test_the_estimator_is_a_tag_beside_that_of_the_factor_and_its_error_a_metric(trial_row):
    row = {
        **trial_row,
        "estimator_used": "ghost",
        "certificate_error": 2e-7,
        "factor.method.estimator": "auto",
    }
    assert (trial_tags(row)["estimator_used"], trial_tags(row)["estimator"]) == ("ghost", "auto")
    points = {point.name: point.value for point in metric_points(row, [])}
    assert points["certificate_error"] == 2e-7
    assert "estimator_used" not in trial_tags(trial_row)


def test_versions_and_commit_are_tags_and_a_file(trial_row):
    row = {**trial_row, "versions": '{"torch": "2.15"}', "commit": "abc123"}
    tags, files = trial_tags(row), trial_files(row)
    assert (tags["version.torch"], tags["mlflow.source.git.commit"]) == ("2.15", "abc123")
    assert json.loads(files["config.json"])["optim"] == {"lr": 0.1}
    assert json.loads(files["environment.json"])["versions"] == {"torch": "2.15"}


def test_passwords_in_a_configuration_or_an_error_are_masked(trial_row):
    config = '{"data": {"root": "https://ann:s3cret@host/data"}}'
    row = {**trial_row, "config": config, "error": "OSError: https://ann:s3cret@host/data is gone"}
    everything = [*trial_params(row).values(), *trial_tags(row).values(), *trial_files(row).values()]
    assert not any("s3cret" in text for text in everything)
    assert trial_params(row)["data.root"] == "https://***@host/data"
