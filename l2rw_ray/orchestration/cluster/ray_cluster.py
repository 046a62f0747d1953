"""The Ray cluster a run uses: a private one on this machine, or one that is there already."""

import logging
import os
import secrets
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from pathlib import Path

from l2rw_ray.errors import InfrastructureError, InputError
from l2rw_ray.orchestration.cluster.address import check_server_answers
from l2rw_ray.orchestration.cluster.autoscaling import (
    GROWTH_VARIABLE,
    START_TIMEOUT_S,
    growth_groups,
    nodes_to_come,
)
from l2rw_ray.orchestration.cluster.reaper import reaped

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # prints go where standard output goes, once
    "RAY_TRAIN_V2_ENABLED": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",  # the searcher bounds them
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed trial has no figure
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "PYTHON worker processes have been started|"
    "A worker died or was killed|has been marked dead",  # the run says itself which trials go on
}
_FOR_NOBODY = {
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "30",  # who would start it again?
}
"""What a private cluster without a dashboard, on the one node there is, does for nobody."""

_REMEDY = "give HOST:PORT of a running head node, and its token in RAY_AUTH_TOKEN where it has one"


@contextmanager
def ray_cluster(address: str | None, code: Path | None = None) -> Iterator[list[dict[str, float]]]:
    """Connect to a cluster, or start a private one that ends with the block.

    Args:
        address: Address of a running cluster; None starts one on this machine's cores.
        code: Folder of packages that every worker shall find first when it imports.

    Yields:
        Resources, by Ray's names, of each living node and of those that the cluster may still bring up.

    Raises:
        InputError: No cluster lets us in at the address, or what the cluster may grow to cannot be read.
        InfrastructureError: A private cluster cannot be started, or the code cannot be sent.
    """
    if address is None:
        os.environ.pop(GROWTH_VARIABLE, None)  # it is about another cluster
    else:
        _check_reachable(address)
    with nullcontext() if address else _for_itself(), _connection(address, code) as nodes:
        yield nodes


@contextmanager
def _for_itself() -> Iterator[None]:
    """Let nobody else into a private cluster, and nothing of it stay."""
    with _others_kept_out(), ExitStack() as stack:
        try:
            marks = stack.enter_context(reaped())
        except OSError as error:
            raise InfrastructureError(
                f"no process can be started on this machine: {error.strerror}"
            ) from error
        try:
            with _inherited(marks):
                yield
        finally:
            with _signals_ignored():
                stack.close()


@contextmanager
def _connection(address: str | None, code: Path | None) -> Iterator[list[dict[str, float]]]:
    """See `ray_cluster`."""
    if growth_groups():
        os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(START_TIMEOUT_S))
    for name, value in (_QUIET if address else _QUIET | _FOR_NOBODY).items():
        os.environ.setdefault(name, value)
    import ray  # reads its environment when it is imported

    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        try:
            _connect(address, code)
        finally:
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray puts its own in place
        _silence_ray()
        yield usable_nodes()
    finally:
        with _signals_ignored():
            ray.shutdown()


def _connect(address: str | None, code: Path | None) -> None:
    """See `ray_cluster`; what a cluster that did not come up has left runs on."""
    import ray

    dashboard = {"include_dashboard": False} if address is None else {}
    sent = {"working_dir": str(code)} if code else None  # not py_modules: this machine's folder precedes them
    try:
        ray.init(
            address or "local",
            runtime_env=sent,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **dashboard,
        )
    except ray.exceptions.RuntimeEnvSetupError as error:
        raise InfrastructureError(
            f"the study's own code could not be sent to the workers: {error}"
        ) from error
    except Exception as error:  # Ray raises the bare class of a node that does not come up
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        if address is None:
            raise InfrastructureError(f"no Ray cluster could be started on this machine: {reason}") from error
        raise InputError("--address", address, f"no Ray cluster there ({reason})", _REMEDY) from error


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Let neither Ctrl-C nor SIGTERM cut short what takes seconds."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def usable_nodes() -> list[dict[str, float]]:
    """Resources of the nodes of the cluster that this process is connected to, by Ray's names.

    Of those that live, and of those that the cluster brings up when they are wanted.
    """
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [*alive, *nodes_to_come(growth_groups(), alive)]


@contextmanager
def _others_kept_out() -> Iterator[None]:
    """Have a token that only this cluster's own processes know: Ray listens on every network interface.

    The user's own comes back at the end; where they have switched tokens off, there is none.
    """
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    with _inherited({"RAY_AUTH_MODE": mode} | ({"RAY_AUTH_TOKEN": _token()} if mode == "token" else {})):
        yield


@contextmanager
def _inherited(variables: Mapping[str, str]) -> Iterator[None]:
    """Have variables in the environment of what is started within the block."""
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
    """The token of this process's private clusters, one after the other: Ray reads it once per process."""
    return secrets.token_hex(32)


def _check_reachable(address: str) -> None:
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise InputError("--address", address, "no HOST:PORT", _REMEDY)
    check_server_answers(address, host.strip("[]"), int(port), _REMEDY)


def _silence_ray() -> None:
    """Keep Ray's own console output for its log files; what failed is shown by the run itself."""
    for name in ("ray", "ray.tune", "ray.train", "ray.data", "ray._private"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what Tune and Train insist on writing; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="l2rw_ray_", ignore_cleanup_errors=True) as name:
        yield Path(name)
