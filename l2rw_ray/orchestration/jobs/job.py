"""A study as a Ray job: handing it in, following its log, and what its exit code is."""

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
from l2rw_ray.errors import InfrastructureError, InputError
from l2rw_ray.orchestration.cluster.address import check_server_answers
from l2rw_ray.orchestration.jobs.submission import Submission, staged

_REMEDY = "give http://HOST:8265 of the cluster's dashboard"
_PORTS = {"http": 80, "https": 443}
_LOST_S = 60.0
"""How long a cluster may be out of reach before its job is not followed any more."""
_ASK_AGAIN_S = 0.5
_NO_COMMAND = 127
"""What a shell returns for a command it does not find."""


@dataclass(frozen=True)
class StudyJob:
    """A study that was handed in.

    Attributes:
        client: Ray's client of the cluster.
        address: The address it was handed in at.
        job_id: Its name there.
    """

    client: Any
    address: str
    job_id: str

    @property
    def hints(self) -> str:
        """How to follow and how to stop it from elsewhere."""
        return (
            f"follow   ray job logs --follow {self.job_id} --address {self.address}\n"
            f"stop     ray job stop {self.job_id} --address {self.address}"
        )

    def follow(self, write: Callable[[str], object]) -> int:
        """Pass the job's log on until it ends.

        Args:
            write: Takes the next piece of the log.

        Returns:
            The exit code of its `l2rw-ray run`; 130 where it was stopped, 1 where it has none.

        Raises:
            InfrastructureError: The cluster is lost, or lacks this package.
            KeyboardInterrupt: The user looks away; the job goes on.
        """
        log, lost_since = _Log(write), None
        while True:
            try:
                asyncio.run(log.tail(self.client, self.job_id))
                info = self.client.get_job_info(self.job_id)
            except (
                OSError,
                RuntimeError,
                ClientError,
            ) as error:  # the job may go on where nobody can be reached
                now = time.monotonic()
                if lost_since is None or log.broke_off:  # it was in reach until now
                    lost_since = now
                if now - lost_since >= _LOST_S:
                    raise InfrastructureError(
                        f"the cluster is out of reach ({error}); its job may go on:\n{self.hints}"
                    ) from error
            else:
                lost_since = None
                if info.status.is_terminal():
                    return self._exit_code(info)
            time.sleep(_ASK_AGAIN_S)

    def _exit_code(self, info: Any) -> int:
        if info.status == "STOPPED":
            return 130
        if info.driver_exit_code == _NO_COMMAND:
            raise InfrastructureError(
                "the cluster's nodes have no command l2rw-ray: install this package there, "
                "as cluster.yaml does, before Ray is started"
            )
        if info.driver_exit_code is None:  # it never began, or died with its node
            last = (info.message or "").strip().splitlines() or ["no reason given"]
            raise InfrastructureError(f"job {self.job_id} failed: {last[-1]}")
        return int(info.driver_exit_code)


class _Log:
    """Passes a log on once, though it is read from the start again after a lost connection."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write, self._passed = write, 0
        self.broke_off = False
        """Whether the last connection was lost after something had come of it."""

    async def tail(self, client: Any, job_id: str) -> None:
        """Pass on what is new until the log ends."""
        read, self.broke_off = 0, False
        async for piece in client.tail_job_logs(job_id):
            self.broke_off = True
            new = piece[max(self._passed - read, 0) :]
            read += len(piece)
            if new:
                self._write(new)
                self._passed = read
        self.broke_off = False


def submit_study(spec: StudySpec, submission: Submission, address: str) -> StudyJob:
    """Hand a study in as a job that runs what the study is missing, as `l2rw-ray run` does.

    Args:
        spec: The study.
        submission: How it is to be run.
        address: Dashboard of the cluster, `http://HOST:8265`.

    Raises:
        InputError: Nobody answers at the address, or not to us; or what is to be sent cannot be.
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
            raise InfrastructureError(f"the cluster refused the job: {_first_line(error)}") from error
    return StudyJob(client, address, job_id)


def _connect(address: str) -> Any:
    """Ray's client of the cluster at a dashboard's address."""
    url = _dashboard_url(address)
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        os.environ.pop(name, None)  # Ray lets these override what the user gave
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    for name in ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk", "ray._private"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return JobSubmissionClient(url)
    except AuthenticationError as error:
        remedy = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or the file ~/.ray/auth_token"
        problem = "the cluster wants a token; this shell has none, or another one"
        raise InputError("--address", address, problem, remedy) from error
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        problem = f"no Ray dashboard ({_first_line(error)})"
        raise InputError("--address", address, problem, _REMEDY) from error


def _dashboard_url(address: str) -> str:
    """The address with its scheme, once somebody answers there."""
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise InputError("--address", address, f"no address ({error})".lower(), _REMEDY) from error
    is_word = not {".", ":"} & set(address)  # such as auto, which is this machine's own to Ray
    if parts.scheme not in _PORTS or not parts.hostname or is_word:
        raise InputError("--address", address, "not the address of a dashboard", _REMEDY)
    check_server_answers(address, parts.hostname, port, _REMEDY)
    return url.rstrip("/")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
