"""Call MLflow quietly, and turn its errors into one line."""

import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from l2rw_ray.errors import TrackingError
from l2rw_ray.masking import masked, masked_of

_LOUDEST = {
    "mlflow": logging.WARNING,
    "mlflow.store.db.utils": logging.CRITICAL,
    "alembic": logging.WARNING,
    "urllib3": logging.ERROR,
}
"""Log levels; retries are not shown, since the error that is raised at the end says enough."""
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""MLflow's settings while it is called: few retries, and no address printed per run."""
_MAX_REASON = 300
"""Characters of the reason of an error."""


@contextmanager
def guarded(uri: str) -> Iterator[None]:
    """Silence MLflow and limit its retries inside the block; errors of the store become a TrackingError."""
    for name, level in _LOUDEST.items():
        logging.getLogger(name).setLevel(level)
    try:
        with _environment(), warnings.catch_warnings():
            # MLflow's own table definitions, on first use of a store
            warnings.filterwarnings("ignore", "The ``noload`` loader", DeprecationWarning)
            yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        # masked before it is cut, which could split a password
        reason = masked_of(_cause_of(error), uri)[:_MAX_REASON]
        raise TrackingError(
            "tracking store",
            masked(uri),
            f"cannot be used ({reason})",
            "start or repair it, or give another --tracking-uri",
        ) from None  # the message of the store may contain a password


def _cause_of(error: BaseException) -> str:
    """Return the first line of what lies at the root of an error, such as `Connection refused`.

    Errors of MLflow and of what it calls repeat whole chains on one line, with the cause at its end.
    """
    root, inner = error, error.__cause__ or error.__context__
    while inner is not None:
        if isinstance(inner, OSError | sqlite3.Error):
            root = inner
        inner = inner.__cause__ or inner.__context__
    text = (isinstance(root, OSError) and root.strerror) or str(root).strip()
    return next(iter(text.splitlines()), type(root).__name__)


@contextmanager
def _environment() -> Iterator[None]:
    """Apply MLflow's settings, unless the environment has them."""
    added = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
