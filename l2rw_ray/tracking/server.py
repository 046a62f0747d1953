"""Serving the MLflow UI of one store to this machine."""

import os
import subprocess
import sys
from pathlib import Path


def serve_ui(database: Path, artifacts: Path, port: int) -> int:
    """Run MLflow's server on 127.0.0.1 until it is interrupted.

    Args:
        database: SQLite file of the store.
        artifacts: Folder of its artifacts.
        port: Port to listen on.

    Returns:
        The server's exit code, 0 after Ctrl-C.
    """
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{database.resolve()}"),
        *("--default-artifact-root", str(artifacts.resolve())),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    print(f"MLflow UI: http://127.0.0.1:{port}   (Ctrl-C ends it)")
    try:
        return subprocess.run(command, env=os.environ | quiet, check=False).returncode
    except KeyboardInterrupt:
        return 0
