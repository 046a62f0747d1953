import math
import os
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from mlflow import MlflowClient

from l2rw_ray.errors import TrackingError
from l2rw_ray.tracking.charts import charts_of
from l2rw_ray.tracking.design_point_run import DesignPointRun
from l2rw_ray.tracking.mlflow_mirror import MlflowMirror
from l2rw_ray.tracking.view import FILTERS, POINTS, TRIALS

QUESTION = "Does it pay?"
QUIET = "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"


@pytest.fixture
def mirror(store_uri, tmp_path):
    return MlflowMirror(store_uri, "small", QUESTION, tmp_path / "mlartifacts")


@pytest.fixture
def runs(store_uri, mirror):
    """The study's runs by name, as they are now."""

    def now():
        client = MlflowClient(tracking_uri=store_uri, registry_uri=store_uri)
        experiment = client.get_experiment_by_name("small")
        found = client.search_runs([experiment.experiment_id])
        names = [run.info.run_name for run in found]
        assert len(set(names)) == len(names)
        return {run.info.run_name: run for run in found}

    return now


def content(runs):
    return {
        name: (run.info.run_id, run.info.status, run.info.end_time, run.data.metrics, run.data.tags)
        for name, run in runs.items()
    }


def point(mean=0.5):
    intervals = {"test_accuracy": {"mean": mean, "low": 0.4, "high": 0.6, "n": 3}}
    return DesignPointRun("l2rw", {"data.bias.level": 0.9}, intervals)


def test_a_trial_is_a_run_below_its_study(mirror, runs, store_uri, trial_row, history_rows):
    mirror.record(trial_row, history_rows)
    mirror.close()
    study, trial = runs()["small"], runs()["l2rw · bias 0.9 · seed 3"]
    assert trial.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert study.data.tags["mlflow.note.content"] == QUESTION
    assert trial.data.params["data.bias.level"] == "0.9"
    assert trial.data.metrics["test_accuracy"] == 0.8
    assert trial.data.metrics["peak_memory_bytes"] == 1e9
    assert trial.info.start_time == trial_row["started_at"].timestamp() * 1000
    assert trial.info.end_time - trial.info.start_time == 10_000
    assert (study.info.status, trial.info.status) == ("FINISHED", "FINISHED")
    client = MlflowClient(tracking_uri=store_uri, registry_uri=store_uri)
    curve = client.get_metric_history(trial.info.run_id, "train_loss")
    assert [(metric.step, metric.value) for metric in curve] == [(1, 1.0), (2, 0.5)]


@pytest.mark.parametrize(
    ("status", "expected"), [("failed", "FAILED"), ("diverged", "FAILED"), ("stopped", "KILLED")]
)
def test_the_status_is_mlflows(mirror, runs, trial_row, status, expected):
    mirror.record({**trial_row, "status": status})
    assert runs()["l2rw · bias 0.9 · seed 3"].info.status == expected


def test_mirroring_twice_changes_nothing(mirror, runs, store_uri, trial_row, history_rows):
    for again in (mirror, mirror, MlflowMirror(store_uri, "small", QUESTION)):
        again.record(trial_row, history_rows)
        again.summarise([point()])
        again.close()
        if again is mirror:
            first = content(runs())
    assert content(runs()) == first
    assert len(first) == 3


def test_a_trial_that_was_run_again_has_its_new_outcome_only(mirror, runs, trial_row, history_rows):
    mirror.record({**trial_row, "status": "failed", "test_accuracy": None}, history_rows[:1])
    mirror.record(trial_row, history_rows)
    run = runs()["l2rw · bias 0.9 · seed 3"]
    assert run.info.status == "FINISHED"
    assert len(runs()) == 2


def test_a_run_that_a_crash_cut_short_is_written_again(mirror, runs, store_uri, trial_row, monkeypatch):
    def crash(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_terminated", crash)
        with pytest.raises(KeyboardInterrupt):
            mirror.record(trial_row)
    MlflowMirror(store_uri, "small", QUESTION).record(trial_row)
    assert runs()["l2rw · bias 0.9 · seed 3"].info.status == "FINISHED"


def test_a_new_trial_reopens_the_study(mirror, runs, trial_row):
    mirror.close()
    mirror.record(trial_row)
    assert runs()["small"].info.status == "RUNNING"
    mirror.close()
    assert runs()["small"].info.status == "FINISHED"


def test_what_is_not_finite_is_named_instead_of_written(mirror, runs, trial_row):
    mirror.record({**trial_row, "test_accuracy": math.nan, "validation_loss": math.inf})
    run = runs()["l2rw · bias 0.9 · seed 3"]
    assert run.data.tags["l2rw.not_finite"] == "test_accuracy, validation_loss"
    assert "test_accuracy" not in run.data.metrics


def test_names_that_mlflow_refuses_are_stored_under_others(mirror, runs, trial_row):
    metrics = [("good \N{THUMBS UP SIGN}", 0.5), ("a//b", 0.25), ("loss", 0.75)]
    mirror.record({**trial_row, "metrics": metrics, "config": '{"params": {"rate %": 1}}'})
    found = runs()["l2rw · bias 0.9 · seed 3"].data
    values = {name.partition("-")[0]: value for name, value in found.metrics.items()}
    assert (values["good _"], values["a__b"], values["loss"]) == (0.5, 0.25, 0.75)
    assert any(name.startswith("params.rate _-") for name in found.params)
    parts = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 3}
    mirror.summarise([DesignPointRun("l2rw", {"rate %": 1}, {metrics[0][0]: parts})])
    assert sum(each.startswith("good _.mean-") for each in runs()["l2rw · rate % 1"].data.metrics) == 1
    assert charts_of(metrics[0][0], [], of_points=False)["compareRunCharts"][0]["metricKey"] in (
        found.metrics
    )


def test_a_design_point_is_replaced(store_uri, runs, mirror):
    now = datetime(2024, 5, 1, tzinfo=UTC)
    for number, mean in enumerate((0.6, 0.5)):
        clock = lambda number=number: now + timedelta(hours=number)  # noqa: E731
        MlflowMirror(store_uri, "small", QUESTION, clock=clock).summarise([point(mean)])
    metrics = runs()["l2rw · bias 0.9"].data.metrics
    assert metrics["test_accuracy.mean"] == 0.5
    assert metrics["test_accuracy.n"] == 3


def test_the_views_find_what_is_planned_alone(mirror, runs, store_uri, trial_row):
    other = {**trial_row, "trial_id": "other", "seed": 4}
    for row in (trial_row, other):
        mirror.record(row)
    mirror.summarise([point()])
    mirror.mark_planned({trial_row["trial_id"]: False, "another folder's": False})
    client = MlflowClient(tracking_uri=store_uri, registry_uri=store_uri)
    experiment = client.get_experiment_by_name("small").experiment_id
    assert [run.data.tags["l2rw.trial_id"] for run in client.search_runs([experiment], FILTERS[TRIALS])] == [
        "other"
    ]
    assert [run.data.tags["bias"] for run in client.search_runs([experiment], FILTERS[POINTS])] == ["0.9"]
    mirror.summarise([])
    assert client.search_runs([experiment], FILTERS[POINTS]) == []
    mirror.mark_planned({trial_row["trial_id"]: True})
    assert runs()["l2rw · bias 0.9 · seed 3"].data.tags["l2rw.planned"] == "yes", "asked for once more"


def test_many_metrics_go_in_several_requests(mirror, runs, trial_row, history_rows):
    history = [{**history_rows[0], "epoch": epoch} for epoch in range(1, 701)]
    mirror.record({**trial_row, "epochs": 700}, history)
    assert runs()["l2rw · bias 0.9 · seed 3"].data.metrics["train_loss"] == 1.0


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////no/such/folder/mlflow.db", "bogus://x"])
def test_a_store_out_of_reach_fails_soon_and_in_one_line(uri, trial_row):
    started = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        MlflowMirror(uri, "small", QUESTION).record(trial_row)
    assert time.monotonic() - started < 5
    assert "\n" not in str(caught.value)
    assert uri in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [("http://127.0.0.1:9", "(Connection refused)"), ("bogus://x", "unsupported URI")],
)
def test_the_cause_of_an_error_is_not_cut_off(uri, reason, trial_row):
    with pytest.raises(TrackingError, match=re.escape(reason)):
        MlflowMirror(uri, "small", QUESTION).record(trial_row)


def test_the_environment_is_left_as_it_was(mirror, trial_row):
    before = dict(os.environ)
    mirror.record(trial_row)
    assert dict(os.environ) == before


def test_the_store_is_made_in_silence(tmp_path, capfd, trial_row):
    mirror = MlflowMirror(f"sqlite:///{tmp_path / 'new.db'}", "small", QUESTION)
    mirror.record(trial_row)
    assert capfd.readouterr() == ("", "")


def test_a_garbled_store_is_one_line(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database " * 100)
    mirror = MlflowMirror(f"sqlite:///{tmp_path}/mlflow.db", "demo", "Why?")
    with pytest.raises(TrackingError) as raised:
        mirror.record({"trial_id": "a"})
    assert "\n" not in str(raised.value)


def test_a_trial_names_the_data_it_used(mirror, runs, trial_row):
    mirror.record({**trial_row, "split_hash_train": "a" * 64, "split_hash_test": "b" * 64})
    inputs = runs()["l2rw · bias 0.9 · seed 3"].inputs.dataset_inputs
    assert {each.tags[0].value: each.dataset.digest for each in inputs} == {
        "train": "a" * 32,
        "test": "b" * 32,
    }


def test_files_are_kept_once_per_outcome(mirror, runs, trial_row, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "config.json").write_text("{}")
    mirror.record(trial_row)
    assert mirror.lacks_files(trial_row)
    mirror.attach(trial_row, tmp_path / "files")
    assert not mirror.lacks_files(trial_row)
    run = runs()["l2rw · bias 0.9 · seed 3"]
    kept = tmp_path / "mlartifacts" / run.info.run_id / "artifacts" / "config.json"
    assert kept.read_text() == "{}"
    again = {**trial_row, "attempt": 2}
    mirror.record(again)
    assert mirror.lacks_files(again)


def test_views_are_offered_once(mirror, store_uri, monkeypatch):
    mirror.offer_views({"a": "1"})
    monkeypatch.setattr(MlflowClient, "set_experiment_tag", lambda *_: pytest.fail("nothing changed"))
    for again in (mirror, MlflowMirror(store_uri, "small", QUESTION)):
        again.offer_views({"a": "1"})


def test_a_report_is_attached_to_the_study_once(mirror, runs, tmp_path, monkeypatch):
    report = tmp_path / "report"
    (report / "figures").mkdir(parents=True)
    for file in ("report.html", "figures/effect.svg"):
        (report / file).write_text("new")
    mirror.attach_report(report, "digest")
    kept = tmp_path / "mlartifacts" / runs()["small"].info.run_id / "artifacts" / "report"
    assert sorted(path.name for path in kept.rglob("*") if path.is_file()) == ["effect.svg", "report.html"]
    monkeypatch.setattr(MlflowClient, "log_artifacts", lambda *_: pytest.fail("nothing changed"))
    mirror.attach_report(report, "digest")


def test_nothing_is_printed_of_runs_on_a_server(mirror, trial_row, monkeypatch):
    seen = []
    monkeypatch.setattr(MlflowClient, "set_terminated", lambda *_: seen.append(os.environ.get(QUIET)))
    mirror.record(trial_row)
    assert seen == ["true"]


def test_a_password_is_in_no_error(trial_row):
    with pytest.raises(TrackingError) as raised:
        MlflowMirror("http://ann:s3cret@127.0.0.1:9", "small", QUESTION).record(trial_row)
    assert "http://***@127.0.0.1:9" in str(raised.value)
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None
