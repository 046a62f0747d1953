"""The mirror in a real PostgreSQL that goes down and comes back, directly and behind a server."""

import gc
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from mlflow import MlflowClient

from l2rw_ray.errors import TrackingError
from l2rw_ray.tracking.mirror import mirror_folder
from tests.tracking.finished_study import TRIALS
from tests.tracking.real_postgres import BINARIES, PASSWORD, RealPostgres
from tests.tracking.real_server import RealServer, free_port, runs_at

pytestmark = pytest.mark.skipif(BINARIES is None, reason="needs PostgreSQL (initdb is not installed)")


@pytest.fixture
def postgres():
    """A database outside pytest's folders, which a further pytest session closes to the database's user."""
    with TemporaryDirectory(prefix="postgres-") as folder:
        made = RealPostgres.make(Path(folder))
        yield made
        made.stop()
    gc.collect()  # connections that MLflow has lost say so when they go


@pytest.mark.filterwarnings("ignore:.*deleted while still open:ResourceWarning")
def test_a_mirror_cut_short_by_its_database_is_completed_without_doubles(
    folder, postgres, tmp_path, monkeypatch
):
    with pytest.raises(TrackingError, match="cannot be used") as refused:
        mirror_folder(folder, postgres.uri)
    assert f"postgresql://***@127.0.0.1:{postgres.port}" in str(refused.value)

    postgres.start()
    original, calls = MlflowClient.log_inputs, []

    def stop_during_the_third(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            postgres.stop()
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_inputs", stop_during_the_third)
        with pytest.raises(TrackingError) as cut_short:
            mirror_folder(folder, postgres.uri)
    assert PASSWORD not in str(refused.value) + str(cut_short.value)

    postgres.start()
    assert len(runs_at(postgres.uri, "FINISHED")) == 2
    assert mirror_folder(folder, postgres.uri).trials == 4
    complete = runs_at(postgres.uri, "FINISHED")
    assert sorted(complete) == TRIALS
    assert all(run.info.artifact_uri.startswith(folder.path.as_uri()) for run in complete.values())

    server = RealServer(tmp_path, free_port(), postgres.uri)
    try:
        server.start()
        assert mirror_folder(folder, server.uri).trials == 4
        known = {run.info.run_id for run in complete.values()}
        assert {run.info.run_id for run in runs_at(server.uri).values()} == known
    finally:
        server.stop()
