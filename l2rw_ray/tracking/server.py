"""Serve the MLflow UI of a store on this machine."""

import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from l2rw_ray.errors import TrackingError

QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "PYTHONWARNINGS": "ignore",
}


def check_port_free(port: int) -> None:
    """Check that a port of 127.0.0.1 is free.

    Raises:
        TrackingError: The port is in use.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            reason = (error.strerror or "cannot be used").lower()
            raise TrackingError("--port", port, reason, "choose another --port") from error


def serve_ui(store: str, artifacts: Path, port: int) -> NoReturn:
    """Replace this process by MLflow's server on 127.0.0.1, which Ctrl-C or SIGTERM ends.

    Args:
        store: SQLite URI of the store.
        artifacts: Folder of its artifacts.
        port: Port to listen on, checked by `check_port_free`.
    """
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", "--log-level warning"),
        *("--backend-store-uri", store, "--default-artifact-root", str(artifacts.resolve())),
    ]
    os.execve(sys.executable, command, os.environ | QUIET)  # noqa: S606  # no shell is needed
