"""MLflow's database is there as a whole or not at all."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from l2rw_ray.tracking import new_database
from l2rw_ray.tracking.new_database import create_database
from l2rw_ray.tracking.uri import local_store


@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # of MLflow
def test_a_database_that_was_cut_short_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class _CutShort:
        def __init__(self, tracking_uri: str, registry_uri: str) -> None:
            (tmp_path / "mlflow.db.partial").write_bytes(b"half of it")
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(new_database, "MlflowClient", _CutShort)
        with pytest.raises(KeyboardInterrupt):
            create_database(local_store(tmp_path))
    assert not (tmp_path / "mlflow.db").exists()

    create_database(local_store(tmp_path))
    client = MlflowClient(tracking_uri=local_store(tmp_path))
    client.create_experiment("mine")
    create_database(local_store(tmp_path))
    assert client.get_experiment_by_name("mine") is not None
    assert not (tmp_path / "mlflow.db.partial").exists()


def test_other_stores_are_left_alone() -> None:
    create_database("http://127.0.0.1:5000")
