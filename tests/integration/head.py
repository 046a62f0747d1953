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
from typing import Any

import psutil
import requests

from tests.integration.harness import wait_until

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Head:
    """A head node that is up.

    Attributes:
        dashboard: Its dashboard's address.
        address: Its own, for drivers.
        variables: What a process needs in its environment to be let in.
    """

    dashboard: str
    address: str
    variables: dict[str, str]


@contextmanager
def head_node(results: Path, cpus: int, others: int) -> Iterator[Head]:
    """A head node and some others of so many cores each, until the block ends."""
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
        start = [
            *(f"{binaries}/ray", "start", "--block", "--disable-usage-stats", f"--num-cpus={cpus}"),
            *("--dashboard-agent-listen-port=0", "--min-worker-port=0", "--max-worker-port=0"),
        ]
        head = [
            *(*start, "--head", f"--port={port}", f"--temp-dir={folder}"),
            *("--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard_port}"),
            f"--ray-client-server-port={client_port}",
        ]
        with _process(head, environment):
            wait_until(lambda: _get(dashboard, "/api/version", variables), "dashboard", 60)
            with ExitStack() as stack:
                for _ in range(others):
                    stack.enter_context(_process([*start, f"--address=127.0.0.1:{port}"], environment))
                wait_until(lambda: _alive(dashboard, variables) == 1 + others, "other nodes", 60)
                yield Head(dashboard, f"127.0.0.1:{port}", variables)


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """A node, killed with the block: a polite end waits half a minute for what it has ended itself."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environment, **quiet)
    try:
        yield
    finally:
        below = psutil.Process(process.pid).children(recursive=True)
        for each in (process, *below):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()
        psutil.wait_procs(below, timeout=10)


def _alive(dashboard: str, variables: dict[str, str]) -> int:
    nodes = _get(dashboard, "/api/v0/nodes", variables)["data"]["result"]["result"]
    return sum(node["state"] == "ALIVE" for node in nodes)


def _get(dashboard: str, path: str, variables: dict[str, str]) -> Any:
    headers = {"Authorization": f"Bearer {variables['RAY_AUTH_TOKEN']}"}
    try:
        response = requests.get(f"{dashboard}{path}", headers=headers, timeout=10)
    except requests.ConnectionError:
        return None
    return response.json() if response.ok else None


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
