"""Submit a study as a Ray job, follow its log, and return its exit code."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from aiohttp import ClientError

from l2rw_ray.config import StudySpec
from l2rw_ray.errors import InfrastructureError, InputError, first_line
from l2rw_ray.orchestration.cluster.address import check_server_answers
from l2rw_ray.orchestration.cluster.token_check import token_error
from l2rw_ray.orchestration.jobs.submission import Submission, staged

_REMEDY = "give http://HOST:8265 of the cluster's dashboard"
_PORTS = {"http": 80, "https": 443}
_LOST_S = 60.0
"""How long a cluster may be unreachable before following its job ends."""
_POLL_EVERY_S = 0.5
_NO_COMMAND = 127
"""Exit code of a shell for a missing command."""


@dataclass(frozen=True)
class StudyJob:
    """A submitted study.

    Attributes:
        client: Ray's client of the cluster.
        address: Address of the cluster's dashboard.
        job_id: Ray's name of the job.
    """

    client: Any
    address: str
    job_id: str

    @property
    def hints(self) -> str:
        """The commands that follow and stop the job."""
        return (
            f"follow   ray job logs --follow {self.job_id} --address {self.address}\n"
            f"stop     ray job stop {self.job_id} --address {self.address}"
        )

    def follow(self, write: Callable[[str], object]) -> int:
        """Stream the job's log until it ends.

        Args:
            write: Receives the next piece of the log.

        Returns:
            The exit code of its `l2rw-ray run`; 130 if the job was stopped.

        Raises:
            InfrastructureError: The cluster is unreachable, lacks this package, or could not start the job.
            KeyboardInterrupt: The user stopped following; the job continues.
        """
        log, lost_since = _Log(write), None
        while True:
            try:
                asyncio.run(log.tail(self.client, self.job_id))
                info = self.client.get_job_info(self.job_id)
            except (OSError, RuntimeError, ClientError) as error:  # the job may still be running
                now = time.monotonic()
                if lost_since is None or log.was_interrupted:  # it was reachable until now
                    lost_since = now
                if now - lost_since >= _LOST_S:
                    raise InfrastructureError(
                        f"the cluster is unreachable ({error}); its job may still be running:\n{self.hints}"
                    ) from error
            else:
                lost_since = None
                if info.status.is_terminal():
                    return self._exit_code(info)
            time.sleep(_POLL_EVERY_S)

    def _exit_code(self, info: Any) -> int:
        if info.status == "STOPPED":
            return 130
        if info.driver_exit_code == _NO_COMMAND:
            raise InfrastructureError(
                "the cluster's nodes have no command l2rw-ray: install this package there before Ray starts, "
                "as cluster.yaml does"
            )
        if info.driver_exit_code is None:  # it did not start, or its node died
            last = (info.message or "").strip().splitlines() or ["no reason given"]
            raise InfrastructureError(f"job {self.job_id} failed: {last[-1]}")
        return int(info.driver_exit_code)


class _Log:
    """Writes a log once, although each new connection reads it from the start.

    Attributes:
        was_interrupted: Whether the last connection was lost after it had returned something.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write, self._written = write, 0
        self.was_interrupted = False

    async def tail(self, client: Any, job_id: str) -> None:
        """Write what is new until the log ends."""
        read, self.was_interrupted = 0, False
        async for piece in client.tail_job_logs(job_id):
            self.was_interrupted = True
            new = piece[max(self._written - read, 0) :]
            read += len(piece)
            if new:
                self._write(new)
                self._written = read
        self.was_interrupted = False


def submit_study(spec: StudySpec, submission: Submission, address: str) -> StudyJob:
    """Submit a study as a job that runs its missing trials, as `l2rw-ray run` does.

    Args:
        spec: The study.
        submission: Options of the job.
        address: Dashboard of the cluster, `http://HOST:8265`.

    Raises:
        InputError: The connection is refused, the token is wrong, or an option cannot be used.
        InfrastructureError: The cluster refused the job.
    """
    submission.check_usable()
    with staged(spec) as folder:
        client = _connect(address)
        runtime_env = {"working_dir": str(folder), "env_vars": submission.environment()}
        job_id = f"{spec.name}-{uuid4().hex[:8]}"
        try:
            client.submit_job(
                entrypoint=submission.entrypoint(spec.name), submission_id=job_id, runtime_env=runtime_env
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise InfrastructureError(f"the cluster refused the job: {first_line(error)}") from error
    return StudyJob(client, address, job_id)


def _connect(address: str) -> Any:
    """Return Ray's client of the cluster at a dashboard's address."""
    url = _dashboard_url(address)
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        os.environ.pop(name, None)  # they would override the given address
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    for name in ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk", "ray._private"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return JobSubmissionClient(url)
    except AuthenticationError as error:
        raise token_error(address) from error
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        problem = f"not a Ray dashboard ({first_line(error)})"
        raise InputError("--address", address, problem, _REMEDY) from error


def _dashboard_url(address: str) -> str:
    """Return the address with its scheme, after a connection has been made."""
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise InputError("--address", address, f"not an address ({error})".lower(), _REMEDY) from error
    is_word = not {".", ":"} & set(address)  # such as auto, which to Ray means this machine
    if parts.scheme not in _PORTS or not parts.hostname or is_word:
        raise InputError("--address", address, "not the address of a dashboard", _REMEDY)
    check_server_answers(address, parts.hostname, port, _REMEDY)
    return url.rstrip("/")
