"""An `mlflow server` on 127.0.0.1 that can be stopped and started again, and a browser to look at it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from mlflow import MlflowClient
from mlflow.entities import Run

from l2rw_ray.tracking.server import QUIET

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_START_S, _PAGE_S = 120, 90
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--window-size=1900,1400", "--virtual-time-budget=20000"),
)


@dataclass
class RealServer:
    """A server on a store, by default a file in its folder; see `start`. A password is that of `admin`."""

    folder: Path
    port: int
    store: str | None = None
    password: str | None = None
    process: subprocess.Popen | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it answers."""
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--workers", "1", "--uvicorn-opts", "--log-level critical"),
            *("--backend-store-uri", self.store or f"sqlite:///{self.folder / 'mlflow.db'}"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]
        command += ["--app-name", "basic-auth"] if self.password else []
        environment = os.environ | QUIET | (self._with_password() if self.password else {})
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet)
        end = time.monotonic() + _START_S
        while not self._answers():
            assert self.process.poll() is None, "the server did not start"
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.1)

    def _with_password(self) -> dict[str, str]:
        """Settings of MLflow's own basic-auth server."""
        settings = self.folder / "basic_auth.ini"
        settings.write_text(
            f"""[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{self.folder / "users.db"}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""
        )
        return {
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
            "MLFLOW_AUTH_ADMIN_PASSWORD": str(self.password),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test",
        }

    def stop(self) -> None:
        """End its processes; nothing of it is left when this returns."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False


def runs_at(uri: str, status: str | None = None) -> dict[str, Run]:
    """The runs of the study's trials by name; one cut short that is left beside its successor is a double."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("small")
    found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found)
    return {
        run.info.run_name: run
        for run in found
        if "l2rw.trial_id" in run.data.tags and status in (None, run.info.status)
    }


def page_at(address: str) -> str:
    """What a browser makes of an address, as HTML."""
    assert BROWSER is not None
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [BROWSER, *_OPTIONS, f"--user-data-dir={profile}", "--dump-dom", address]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PAGE_S)
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
