"""Addresses of tracking stores: which kinds there are, and how they are shown without their passwords."""

import os
import re
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote, urlparse

from l2rw_ray.errors import TrackingError

_DATABASES = {"sqlite", "postgresql", "mysql", "mssql"}
_SCHEMES = _DATABASES | {"http", "https", "databricks"}
_USER = re.compile(r"(?<=://)[^\s\"']*@")
_SECRET_OPTION = re.compile(
    r"([?&;][^=&\s]*(?:pass|pwd|token|secret|key)[^=&\s]*=)[^&;\s\"']*", re.IGNORECASE
)


def masked(text: str) -> str:
    """The text with every address in it stripped of user, password and secret options."""
    return _SECRET_OPTION.sub(r"\1***", _USER.sub("***@", text))


def masked_of(text: str, uri: str) -> str:
    """The text without what is secret in an address, in whichever form another library quotes it."""
    user_info = urlparse(uri).netloc.rpartition("@")[0]
    password = user_info.partition(":")[2]
    text = masked(text)
    for secret in (user_info, unquote(user_info), password, unquote(password)):
        text = text.replace(secret, "***") if secret else text
    return text


def local_store(folder: Path) -> str:
    """URI of the SQLite store inside a folder."""
    return f"sqlite:///{folder.resolve() / 'mlflow.db'}"


def check_known_store(uri: str) -> None:
    """Check that MLflow, or a plugin of it, knows stores of this kind.

    Raises:
        TrackingError: It does not.
    """
    scheme = urlparse(uri).scheme.partition("+")[0]
    if scheme in _SCHEMES or uri in _SCHEMES or scheme in entry_points(group="mlflow.tracking_store").names:
        return
    remedy = "use http://HOST:PORT of a server, or sqlite:///FILE.db"
    raise TrackingError("--tracking-uri", masked(uri), "no kind of store that MLflow knows", remedy)


def check_store(uri: str) -> None:
    """Check that this process can talk to stores of this kind.

    Raises:
        TrackingError: MLflow knows no such stores, or the driver of the database is not installed.
    """
    check_known_store(uri)
    if not is_database(uri) or uri.startswith("sqlite"):
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        make_url(uri).get_dialect().import_dbapi()
    except (ImportError, SQLAlchemyError) as error:
        problem = f"no driver for such a database ({masked_of(str(error), uri)})"
        package = "pip install 'l2rw-ray[postgres]'" if uri.startswith("postgresql") else "install it"
        remedy = f"{package}, or give http://HOST:PORT of an MLflow server"
        raise TrackingError("--tracking-uri", masked(uri), problem, remedy) from None


def is_database(uri: str) -> bool:
    """Whether a store is a database that MLflow talks to without a server, and that keeps no files."""
    return urlparse(uri).scheme.partition("+")[0] in _DATABASES


def check_writable_folder(uri: str) -> None:
    """Fail at once where MLflow would retry for minutes to open a database file.

    Raises:
        PermissionError: The file's folder cannot be written.
    """
    if uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} is no folder that can be written")
