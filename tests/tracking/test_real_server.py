"""The mirror beside a real server that goes down and comes back, and what its pages show."""

import json
import logging
import re
import shutil
from urllib.parse import urlencode

import pytest
from mlflow import MlflowClient

from l2rw_ray.errors import TrackingError
from l2rw_ray.events import TrialEnded, TrialStatus
from l2rw_ray.tracking.background_mirror import Mirror
from l2rw_ray.tracking.mirror import mirror_folder
from l2rw_ray.tracking.view import TRIALS as TRIALS_PAGE
from l2rw_ray.tracking.view import study_page
from tests.tracking.finished_study import TRIALS
from tests.tracking.real_server import BROWSER, RealServer, free_port, page_at, runs_at

FILES = {"config.json", "environment.json", "figures"}


@pytest.fixture(scope="module")
def server(tmp_path_factory, empty_store):
    """A server whose store has its tables; the tests start it."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder / "mlflow.db")
    server = RealServer(folder, free_port())
    yield server
    server.stop()


def test_a_study_goes_on_without_its_server_and_is_completed_later(folder, server, monkeypatch, caplog):
    address = server.uri.replace("//", "//ann:s3cret@")
    end = TrialEnded("any", TrialStatus.COMPLETED, 2, 6, 2.0)

    with Mirror(folder, address) as mirror, caplog.at_level(logging.WARNING):
        mirror(end)
        mirror.finish()
    (warning,) = caplog.messages
    assert "the study continues" in warning
    assert f"--tracking-uri 'http://***@127.0.0.1:{server.port}'" in warning
    assert "s3cret" not in caplog.text

    server.start()
    original, calls = MlflowClient.log_inputs, []

    def stop_during_the_third(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            server.stop()
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_inputs", stop_during_the_third)
        with pytest.raises(TrackingError):
            mirror_folder(folder, server.uri)

    server.start()
    assert len(runs_at(server.uri, "FINISHED")) == 2
    assert len(runs_at(server.uri, "RUNNING")) == 1, "the one cut short"
    assert mirror_folder(folder, address).trials == 4
    complete = runs_at(server.uri, "FINISHED")
    assert sorted(complete) == TRIALS
    mirror_folder(folder, address)
    assert {run.info.run_id for run in runs_at(server.uri).values()} == {
        run.info.run_id for run in complete.values()
    }
    client = MlflowClient(tracking_uri=server.uri)
    run = complete["l2rw · seed 0"]
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == FILES
    assert len(client.list_artifacts(run.info.run_id, "figures")) == 4
    assert len(run.inputs.dataset_inputs) == 4
    steps = client.get_metric_history(run.info.run_id, "step/train_loss")
    assert [metric.step for metric in steps] == [3, 6]
    assert "s3cret" not in str([each.data.to_dictionary() for each in complete.values()])
    assert "s3cret" not in folder.study_file.read_text()


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_pages_list_the_trials_and_draw_the_curves_of_two_arms(folder, server):
    if server.process is None:
        server.start()
    mirror_folder(folder, server.uri, files_s=0)
    runs = runs_at(server.uri)
    number = next(iter(runs.values())).info.experiment_id
    listed = page_at(f"{server.uri}/{study_page(number, TRIALS_PAGE)}")
    assert [name for name in TRIALS if name not in listed] == []
    assert "Model training" in listed
    mirror_folder(folder, server.uri)
    first = page_at(f"{server.uri}/{study_page(number)}")
    assert not any(name in first for name in TRIALS), "its design points alone"
    assert all(f">{method}<" in first for method in ("uniform", "l2rw"))
    pair = [runs[f"{arm} · seed 0"].info.run_id for arm in ("uniform", "l2rw")]
    query = {
        "runs": json.dumps(pair),
        "experiments": json.dumps([number]),
        "metric": '"train_loss"',
        "plot_metric_keys": '["train_loss"]',
    }
    compared = page_at(f"{server.uri}/#/metric?{urlencode(query)}")
    assert len(re.findall(r'<path class="js-line"', compared)) >= 2
    assert all(f"{arm} · seed 0 (train_loss)" in compared for arm in ("uniform", "l2rw"))


def test_a_server_with_passwords_is_given_them_by_the_environment(folder, tmp_path, empty_store, monkeypatch):
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    server = RealServer(tmp_path, free_port(), password="p@ss-word-1234")
    server.start()
    try:
        with pytest.raises(TrackingError, match="not authenticated"):
            mirror_folder(folder, server.uri)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong-word-1234")
        with pytest.raises(TrackingError, match="not authenticated") as raised:
            mirror_folder(folder, server.uri)
        assert "wrong-word" not in str(raised.value)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", server.password)
        assert mirror_folder(folder, server.uri, files_s=0).trials == 4
        assert sorted(runs_at(server.uri, "FINISHED")) == TRIALS
    finally:
        server.stop()
