"""Addresses of tracking stores, and which kinds are known."""

import os
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlparse

from l2rw_ray.errors import TrackingError
from l2rw_ray.masking import masked, masked_of

_DATABASES = {"sqlite", "postgresql", "mysql", "mssql"}
_SCHEMES = _DATABASES | {"http", "https", "databricks"}


def local_store(folder: Path) -> str:
    """Return the URI of the SQLite store inside a folder, whatever characters its path has.

    The driver is named because MLflow creates the parent folder of a plain `sqlite:///` URI without
    unquoting it, which would leave a folder `a%20b` beside `a b`.
    """
    from sqlalchemy.engine import URL

    url = URL.create("sqlite+pysqlite", database=str(folder.resolve() / "mlflow.db"))
    return url.render_as_string(hide_password=False)


def check_known_store(uri: str) -> None:
    """Check that MLflow or one of its plugins supports this kind of store.

    Raises:
        TrackingError: No such kind is known.
    """
    scheme = urlparse(uri).scheme.partition("+")[0]
    if scheme in _SCHEMES or uri in _SCHEMES or scheme in entry_points(group="mlflow.tracking_store").names:
        return
    remedy = "use http://HOST:PORT of a server, or sqlite:///FILE.db"
    raise TrackingError("--tracking-uri", masked(uri), "no kind of store that MLflow knows", remedy)


def check_store(uri: str) -> None:
    """Check that this process can access stores of this kind.

    Raises:
        TrackingError: MLflow does not know the kind, or the database driver is not installed.
    """
    check_known_store(uri)
    if not is_database(uri) or uri.startswith("sqlite"):
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        make_url(uri).get_dialect().import_dbapi()
    except (ImportError, SQLAlchemyError) as error:
        problem = f"the database driver is missing ({masked_of(str(error), uri)})"
        package = "pip install 'l2rw-ray[postgres]'" if uri.startswith("postgresql") else "install the driver"
        remedy = f"{package}, or give http://HOST:PORT of an MLflow server"
        raise TrackingError("--tracking-uri", masked(uri), problem, remedy) from None


def is_database(uri: str) -> bool:
    """Return whether a store is a database, which MLflow accesses directly and which holds no files."""
    return urlparse(uri).scheme.partition("+")[0] in _DATABASES


def check_writable_folder(uri: str) -> None:
    """Fail at once if the folder of a database file is not writable; MLflow would retry for minutes.

    Raises:
        PermissionError: The file's folder cannot be written.
    """
    if not is_database(uri) or not uri.startswith("sqlite"):
        return
    from sqlalchemy.engine import make_url

    file = make_url(uri).database
    if file and not os.access(folder := Path(file).parent, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} is not a writable folder")
