"""Serve the MLflow UI of a store."""

import os
import re
import socket
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn

from l2rw_ray.errors import TrackingError

QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "PYTHONWARNINGS": "ignore",
    "PYTHONSAFEPATH": "1",  # the working folder may be a stranger's: nothing is imported from it
}
_PREFIX = re.compile(r"(/[\w.-]+)+")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server listens, and for whom.

    Attributes:
        port: Port.
        host: Address of this machine; one that others reach lets them read and change every run.
        allowed_hosts: Names by which browsers may address it, separated by commas; None for MLflow's default.
        prefix: Path that a reverse proxy serves it under, such as `/mlflow`; empty for none.
    """

    port: int = 5000
    host: str = "127.0.0.1"
    allowed_hosts: str | None = None
    prefix: str = ""

    @property
    def site(self) -> str:
        """Address of its pages."""
        name = socket.gethostname() if _is_every_address(self.host) else self.host
        return f"http://{f'[{name}]' if ':' in name else name}:{self.port}{self.prefix}/"

    def check(self) -> None:
        """Check that the port is free and the prefix usable.

        Raises:
            TrackingError: Either is not.
        """
        if self.prefix and not _PREFIX.fullmatch(self.prefix):
            raise TrackingError(
                "--prefix", self.prefix, "no path such as /mlflow", "begin it, not end it, with /"
            )
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except socket.gaierror as error:
                raise TrackingError(
                    "--host", self.host, "no such address", "give one of this machine"
                ) from error
            except OSError as error:
                reason = (error.strerror or "cannot be used").lower()
                remedy = "choose another --port, or an address of this machine as --host"
                raise TrackingError("--port", self.port, reason, remedy) from error


def _is_every_address(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:  # a name
        return False


def serve_ui(store: str, artifacts: Path, listening: Listening) -> NoReturn:
    """Replace this process by MLflow's server, which Ctrl-C or SIGTERM ends.

    Args:
        store: SQLite URI of the store.
        artifacts: Folder of its artifacts.
        listening: Where it listens, checked beforehand.
    """
    options = ["--allowed-hosts", listening.allowed_hosts] if listening.allowed_hosts else []
    options += ["--static-prefix", listening.prefix] if listening.prefix else []
    command = [
        *(sys.executable, "-P", "-m", "mlflow", "server"),
        *("--host", listening.host, "--port", str(listening.port), "--workers", "1", *options),
        *("--uvicorn-opts", "--log-level warning"),
        *("--backend-store-uri", store, "--registry-store-uri", store),
        *("--default-artifact-root", artifacts.resolve().as_uri()),
    ]
    os.execve(sys.executable, command, os.environ | QUIET)  # noqa: S606  # no shell is needed
