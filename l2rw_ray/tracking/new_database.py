"""Create MLflow's SQLite database in one step.

MLflow makes a new database by dozens of migrations, for some seconds. One that was cut short, by a second
Ctrl-C or the end of a machine, can be neither used nor completed: MLflow says that a table already exists.
"""

import os
from contextlib import suppress
from pathlib import Path

from mlflow.tracking import MlflowClient
from sqlalchemy.engine import make_url

_DRIVER = "sqlite"


def create_database(uri: str) -> None:
    """Create the database of a SQLite store if there is none; other stores are left alone.

    It is made under another name and renamed. The caller keeps others from doing so meanwhile.

    Args:
        uri: Address of the store.
    """
    if not uri.startswith(_DRIVER):
        return
    url = make_url(uri)
    path = Path(url.database or "")
    if not url.database or path.exists():
        return
    partial = path.with_name(f"{path.name}.partial")
    for leftover in (partial, partial.with_name(f"{partial.name}-journal")):
        with suppress(FileNotFoundError):
            leftover.unlink()
    partial_uri = url.set(database=str(partial)).render_as_string(hide_password=False)
    MlflowClient(tracking_uri=partial_uri, registry_uri=partial_uri).search_experiments(max_results=1)
    os.replace(partial, path)
