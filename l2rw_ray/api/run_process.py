"""Run a study in a process of its own.

Ray, its settings and its signal handlers stay out of the user's process, so that a notebook can run one study
after another, stop one, and is never ended by one.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import cloudpickle

from l2rw_ray.config import StudySpec
from l2rw_ray.errors import InfrastructureError, L2RWError
from l2rw_ray.import_path import allowed_imports, look_in, looked_in

_MAIN = """
import sys
from multiprocessing.connection import Connection
order, result = Connection(int(sys.argv[1]), writable=False), Connection(int(sys.argv[2]), readable=False)
sys.path[:] = order.recv()
from l2rw_ray.api.run_process import main
main(order, result)
"""


@dataclass(frozen=True)
class RunOrder:
    """What to run.

    Attributes:
        spec: The study.
        out: Its folder or address.
        address: Address of a running Ray cluster; None starts one on this machine.
        tracking_uri: MLflow server or store; None for the one in the study folder.
        mlflow: Whether trials are mirrored to MLflow.
        max_concurrent_trials: Maximum number of concurrent trials; None for as many as fit.
        retry_failed: Whether to run trials recorded as failed again.
        priority: Weight of the study against others on the cluster.
        look_in: Folder in which import paths are looked up; None for the environment alone.
        allowed: Packages of the environment that the study may name as well.
    """

    spec: StudySpec
    out: str
    address: str | None = None
    tracking_uri: str | None = None
    mlflow: bool = True
    max_concurrent_trials: int | None = None
    retry_failed: bool = False
    priority: float = 1.0
    look_in: Path | None = field(default_factory=looked_in)
    allowed: frozenset[str] = field(default_factory=allowed_imports)


class RunProcess:
    """A study that runs in a process of its own, which ends with this one.

    Attributes:
        error: Why the run ended; None while it runs, or if it ended well.
        interrupted: Whether it was stopped before its last trial.

    Args:
        order: What to run.
        notify: Receives lines for the user: what the run waits for, and what it has lost.
    """

    def __init__(self, order: RunOrder, notify: Callable[[str], object]) -> None:
        self.error: BaseException | None = None
        self.interrupted = False
        self._notify, self._ended = notify, threading.Event()
        payload = cloudpickle.dumps(order)
        (to_child, given), (received, from_child) = os.pipe(), os.pipe()
        command = [sys.executable, "-P", "-c", _MAIN, str(to_child), str(from_child)]
        try:
            # in a process group of its own, since Ctrl-C is for this process to handle
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(to_child, from_child),
                process_group=0,
            )
        finally:
            os.close(to_child)
            os.close(from_child)
        self._order = Connection(given, readable=False)
        with suppress(BrokenPipeError):  # a process that has ended gives no result
            self._order.send(sys.path)
            self._order.send_bytes(payload)
        threading.Thread(
            target=self._listen, args=(Connection(received, writable=False),), daemon=True
        ).start()

    @property
    def is_running(self) -> bool:
        """Whether the run has not ended."""
        return not self._ended.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the run has ended, or for the timeout. Returns whether it has ended."""
        return self._ended.wait(timeout_s)

    def interrupt(self) -> None:
        """Ask the run to end as Ctrl-C does: running trials save themselves first."""
        if self.is_running:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)

    def _listen(self, result: Connection) -> None:
        kind, value = "", None
        try:
            while kind not in ("outcome", "error"):
                kind, value = result.recv()
                if kind == "line":
                    self._notify(value)
            code = self._process.wait()
        except EOFError:
            code = self._process.wait()
            how = (
                f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            )
            kind, value = "error", InfrastructureError(f"the process of the run {how}; run the study again")
        if kind == "error":
            self.error = value
        else:
            self.interrupted = bool(value)
        self._order.close()
        self._ended.set()


def main(order: Connection, result: Connection) -> None:
    """Receive an order, run the study, and send how it ended."""
    given: RunOrder = cloudpickle.loads(order.recv_bytes())
    threading.Thread(target=_interrupt_with_parent, args=(order,), daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    look_in(given.look_in, given.allowed)
    with suppress(BrokenPipeError):  # nobody is there to hear it
        try:
            result.send(("outcome", _run(given, lambda line: result.send(("line", line)))))
        except KeyboardInterrupt:  # before the first trial
            result.send(("outcome", True))
        except (L2RWError, OSError) as error:
            result.send(("error", error.with_traceback(None)))


def _run(order: RunOrder, notify: Callable[[str], object]) -> bool:
    """Run the study. Returns whether it was interrupted."""
    from l2rw_ray.orchestration.session import run_study

    outcome = run_study(
        order.spec,
        order.out,
        address=order.address,
        tracking_uri=order.tracking_uri,
        mlflow=order.mlflow,
        max_concurrent_trials=order.max_concurrent_trials,
        retry_failed=order.retry_failed,
        priority=order.priority,
        notify=notify,
    )
    return outcome.interrupted


def _interrupt_with_parent(order: Connection) -> None:
    """End the run as Ctrl-C does when the parent's end of the pipe is closed, even if it was killed."""
    with suppress(EOFError, OSError):
        order.recv()
    os.kill(os.getpid(), signal.SIGINT)
