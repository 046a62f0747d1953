"""Connect to a running Ray cluster, or start a private one on this machine."""

import logging
import os
import secrets
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path

from l2rw_ray.errors import InfrastructureError, InputError, first_line
from l2rw_ray.orchestration.cluster.address import check_server_answers
from l2rw_ray.orchestration.cluster.autoscaling import GROWTH_VARIABLE
from l2rw_ray.orchestration.cluster.membership import Membership
from l2rw_ray.orchestration.cluster.reaper import reaped
from l2rw_ray.orchestration.cluster.token_check import check_token
from l2rw_ray.orchestration.interrupts import interrupts_deferred
from l2rw_ray.planning.placement import Nodes

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",  # the searcher limits them
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed trial has no metrics
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "PYTHON worker processes have been started|"
    "A worker died or was killed|has been marked dead",  # the run itself prints which trials are retried
}
_UNUSED = {
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "30",  # nothing would restart it
}
"""Disables services that a private cluster of one node without a dashboard does not need."""

_LONGEST_PARENT = 26
"""Characters of a temporary folder in which Ray's sockets have names that are short enough."""
_REMEDY = "give HOST:PORT of a running head node, and set RAY_AUTH_TOKEN if it requires a token"


@contextmanager
def ray_cluster(address: str | None, code: Path | None = None) -> Iterator[Nodes]:
    """Connect to a cluster, or start a private one that ends with the block.

    Args:
        address: Address of a running cluster; None starts one on this machine's cores.
        code: Folder of packages that workers import before any others.

    Yields:
        Resources, by Ray's names, of each living node and of those that the cluster may still add.

    Raises:
        InputError: The connection is refused, or the nodes that the cluster may add cannot be parsed.
        InfrastructureError: A private cluster cannot be started, or the code cannot be sent.
    """
    if address is None:
        os.environ.pop(GROWTH_VARIABLE, None)  # it describes another cluster
    else:
        _check_reachable(address)
    with ExitStack() as stack:
        private = None
        if address is None:
            private = stack.enter_context(_private_folder())
            stack.enter_context(_secured_and_reaped())
        yield stack.enter_context(_connection(address, code, private))


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Create the folder of a private cluster, which holds the code that its workers import.

    Ray's own default, `/tmp/ray`, can be written by all users of the machine. The paths of sockets in it
    must be short.
    """
    parent = tempfile.gettempdir() if len(tempfile.gettempdir()) <= _LONGEST_PARENT else "/tmp"  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="l2rw_", dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name) / "ray"  # Ray lets everyone write this one, but nobody else gets as far as it


@contextmanager
def _secured_and_reaped() -> Iterator[None]:
    """Secure the private cluster with a token and remove its processes at exit."""
    with _token_required(), ExitStack() as stack:
        try:
            marks = stack.enter_context(reaped())
        except OSError as error:
            raise InfrastructureError(f"cannot start a process on this machine: {error.strerror}") from error
        try:
            with _environment(marks):
                yield
        finally:
            with _signals_ignored():
                stack.close()


@contextmanager
def _connection(address: str | None, code: Path | None, private: Path | None) -> Iterator[Nodes]:
    """Connect to a cluster, or start one, and disconnect at the end of the block."""
    for name, value in (_QUIET if address else _QUIET | _UNUSED).items():
        os.environ.setdefault(name, value)
    with interrupts_deferred():
        import ray  # reads its environment when it is imported

    try:
        # after an interrupted start, Ray's threads outlive the cluster and crash when this process ends
        with interrupts_deferred(), _signals_kept(), nullcontext() if address else _own_sessions():
            _connect(address, code, private)
        _silence_ray()
        yield Membership().nodes
    finally:
        with _signals_ignored():
            ray.shutdown()


def _connect(address: str | None, code: Path | None, private: Path | None) -> None:
    """Initialise Ray; processes of a cluster that fails to start are left to the reaper."""
    import ray
    from ray.job_config import JobConfig

    class OwnCodeOnly(JobConfig):  # type: ignore[misc]  # Ray's annotations are not followed
        """Settings that keep workers from importing what lies in this process's working directory."""

        def _runtime_env_has_working_dir(self) -> bool:
            return True

    if address is not None and _is_head(address):
        check_token(address)
    own = {} if private is None else {"include_dashboard": False, "_temp_dir": str(private)}
    # Not py_modules, which come after this machine's working directory. In a job, None keeps workers out of
    # the job's own folder: a second raylet of this machine would unpack it anew under the driver.
    runtime_env = {"working_dir": str(code) if code else None}
    try:
        ray.init(
            address or "local",
            runtime_env=runtime_env,
            log_to_driver=False,
            logging_level=logging.ERROR,
            job_config=OwnCodeOnly(),
            **own,
        )
    except ray.exceptions.RuntimeEnvSetupError as error:
        raise InfrastructureError(f"custom code could not be sent to the workers: {error}") from error
    except Exception as error:  # Ray raises a bare Exception when a node does not start
        reason = first_line(error).rstrip(".")
        if address is None:
            hint = "; other work may hold its cores: try again" if "timed out" in reason else ""
            raise InfrastructureError(f"cannot start Ray on this machine: {reason}{hint}") from error
        raise InputError("--address", address, f"not a Ray cluster ({reason})", _REMEDY) from error


@contextmanager
def _own_sessions() -> Iterator[None]:
    """Start Ray's processes in sessions of their own.

    A signal to this process's group, such as that of `timeout`, then does not reach the cluster, and this
    process can shut it down in order. Ray has no option for this.
    """
    from ray._private import services

    popen = services.ConsolePopen
    services.ConsolePopen = partial(popen, start_new_session=True)
    try:
        yield
    finally:
        services.ConsolePopen = popen


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep Ray from handling SIGTERM, at which its handler would end this process in the middle of a start.

    Ray has no option for this.
    """
    from ray._private import utils

    set_handler = utils.set_sigterm_handler
    utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = set_handler


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM during a shutdown that takes seconds."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _token_required() -> Iterator[None]:
    """Require a random token, since Ray listens on every network interface.

    The user's token is restored at the end. If the user has disabled tokens, none is required.
    """
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    with _environment({"RAY_AUTH_MODE": mode} | ({"RAY_AUTH_TOKEN": _token()} if mode == "token" else {})):
        yield


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables within the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@cache
def _token() -> str:
    """Return the token of all private clusters of this process, since Ray reads it once per process."""
    return secrets.token_hex(32)


def _is_head(address: str) -> bool:
    """Return whether an address is that of a head node, rather than a word or of a Ray client's server."""
    return address != "auto" and "://" not in address


def _check_reachable(address: str) -> None:
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise InputError("--address", address, "not of the form HOST:PORT", _REMEDY)
    check_server_answers(address, host.strip("[]"), int(port), _REMEDY)


def _silence_ray() -> None:
    """Restrict Ray's console output to its log files; the run prints failures itself."""
    for name in ("ray", "ray.tune", "ray.train", "ray.data", "ray._private"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Create a temporary folder for the files of Tune and Train."""
    with tempfile.TemporaryDirectory(prefix="l2rw_ray_", ignore_cleanup_errors=True) as name:
        yield Path(name)
