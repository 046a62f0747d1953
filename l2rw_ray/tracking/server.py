"""Serving the MLflow UI of one store to this machine."""

import os
import sys
from pathlib import Path
from typing import NoReturn

_QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "PYTHONWARNINGS": "ignore",
}


def serve_ui(store: str, artifacts: Path, port: int) -> NoReturn:
    """Become MLflow's server on 127.0.0.1; Ctrl-C or SIGTERM ends it.

    Args:
        store: SQLite URI of the store.
        artifacts: Folder of its artifacts.
        port: Port to listen on.
    """
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", "--log-level warning"),
        *("--backend-store-uri", store, "--default-artifact-root", str(artifacts.resolve())),
    ]
    os.execve(sys.executable, command, os.environ | _QUIET)  # noqa: S606  # no shell is wanted
