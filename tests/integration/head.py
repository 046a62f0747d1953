"""A Ray head node with a dashboard and token authentication, on this machine, ended by its process id."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from tests.integration.harness import wait_until

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Head:
    """A head node that is up.

    Attributes:
        dashboard: Its dashboard's address.
        address: Its own address.
        variables: What a process needs in its environment to be let in.
    """

    dashboard: str
    address: str
    variables: dict[str, str]


@contextmanager
def head_node(results: Path, cpus: int) -> Iterator[Head]:
    """A head node, until the block ends."""
    port, dashboard_port, client_port = _free_ports(3)
    variables = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    binaries = str(Path(sys.executable).parent)
    environment = (
        os.environ
        | variables
        | {
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "PYTHONPATH": str(_ROOT),
            "L2RW_RAY_RESULTS": str(results),
        }
    )
    dashboard = f"http://127.0.0.1:{dashboard_port}"
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        command = [
            *(f"{binaries}/ray", "start", "--head", "--block", "--disable-usage-stats"),
            *(f"--port={port}", f"--num-cpus={cpus}", f"--temp-dir={folder}"),
            *("--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard_port}"),
            *(f"--ray-client-server-port={client_port}", "--dashboard-agent-listen-port=0"),
            *("--min-worker-port=0", "--max-worker-port=0"),
        ]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: _answers(dashboard, variables["RAY_AUTH_TOKEN"]), "dashboard", 60)
            yield Head(dashboard, f"127.0.0.1:{port}", variables)
        finally:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a head at once: a polite one waits half a minute for what it has ended itself."""
    below = psutil.Process(process.pid).children(recursive=True)
    for each in (process, *below):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()
    psutil.wait_procs(below, timeout=10)


def _answers(dashboard: str, token: str) -> bool:
    try:
        response = requests.get(
            f"{dashboard}/api/version", headers={"Authorization": f"Bearer {token}"}, timeout=5
        )
    except requests.ConnectionError:
        return False
    return response.ok


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
