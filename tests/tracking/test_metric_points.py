"""Metrics of runs: what is written of each epoch and step, and what is thinned out."""

from datetime import timedelta

import pytest

from l2rw_ray.tracking.metric_points import MAX_POINTS, metric_points, thinned


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
    assert [(p.step, p.value) for p in points if p.name == "epoch_duration_s"] == [(2, 2.0)], "no curve"
    assert [p.value for p in points if p.name == "duration_s"] == [10.0]
    assert points[0].at == trial_row["started_at"] + timedelta(seconds=2)


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
    assert 25 < len(points) <= 51
    assert points[-1] == 1000


@pytest.mark.parametrize("count", [1, 2, 50, 51, 99, 400, 10_000])
def test_curves_are_thinned_to_epochs_that_shorter_runs_share(count):
    kept = thinned(range(1, count + 1))
    assert {1, count} <= kept
    assert min(count, MAX_POINTS / 2) <= len(kept) <= MAX_POINTS + 2
    assert kept - {1, count} <= thinned(range(1, count // 2 + 1)) | set(range(count // 2, count))


def test_the_history_of_a_long_trial_is_thinned(trial_row, history_rows):
    history = [{**history_rows[0], "epoch": epoch} for epoch in range(1, 401)]
    curve = [p.step for p in metric_points(trial_row, history) if p.name == "train_loss"]
    assert (curve[0], curve[-1]) == (1, 400)
    assert len(curve) <= MAX_POINTS + 1


def test_the_largest_error_of_a_check_is_a_metric(trial_row):
    points = {
        point.name: point.value for point in metric_points({**trial_row, "certificate_error": 2e-7}, [])
    }
    assert points["certificate_error"] == 2e-7
