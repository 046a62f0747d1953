"""Check a study's custom code, data and models in a process of its own, while Ray starts.

The check imports torch and loads data. In a process of its own it takes none of the time that Ray takes to
start, its memory does not stay with the driver, and a crash in a native library is told apart from bad input.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.errors import InfrastructureError, L2RWError
from l2rw_ray.import_path import allowed_imports, look_in, looked_in
from l2rw_ray.orchestration.custom_code import import_custom_code

_MAIN = """
import sys
from multiprocessing.connection import Connection
order, result = Connection(int(sys.argv[1]), writable=False), Connection(int(sys.argv[2]), readable=False)
sys.path[:] = order.recv()
from l2rw_ray.orchestration.study_check import main
main(order, result)
"""


@dataclass(frozen=True)
class StudyCheck:
    """A check under way.

    Attributes:
        process: The process; None if there is nothing to check.
        result: Gives its outcome, an exception or None; None if there is nothing to check.
    """

    process: "subprocess.Popen[bytes] | None" = None
    result: Connection | None = None

    def finish(self) -> None:
        """Wait for the check.

        Raises:
            InputError: Custom code, data or a model cannot be used.
            OutOfReachError: The store of a source is unreachable.
            OSError: A file cannot be read.
            InfrastructureError: The process ended without a result.
        """
        if self.process is None or self.result is None:
            return
        try:
            error = self.result.recv()
        except EOFError as lost:
            how = _ending(self.process.wait())
            raise InfrastructureError(f"the check of data and models {how} before it had a result") from lost
        if error is not None:
            raise error


@contextmanager
def checking(samples: Sequence[PlannedTrial], spec: StudySpec, *, with_data: bool) -> Iterator[StudyCheck]:
    """Check these trials while the block runs; leaving it ends a check that has not finished.

    Args:
        samples: Trials that stand for all of the study.
        spec: The study.
        with_data: Whether to check data and models: the nodes of a cluster may have other files.
    """
    if not with_data and not any(trial.config.import_paths for trial in samples):
        yield StudyCheck()
        return
    process, order, result = _start()
    try:
        with order, result:
            with suppress(BrokenPipeError):  # a process that has ended gives no result
                order.send(sys.path)
                order.send((samples, spec, with_data, looked_in(), allowed_imports()))
            yield StudyCheck(process, result)
    finally:
        process.kill()
        process.wait()


def _start() -> "tuple[subprocess.Popen[bytes], Connection, Connection]":
    """Start the process, and the ends of two pipes that nobody else has: for its order and its result."""
    (order, to_write), (to_read, result) = os.pipe(), os.pipe()
    command = [sys.executable, "-P", "-c", _MAIN, str(order), str(result)]  # -P: nothing from this folder
    try:
        # in a process group of its own, since Ctrl-C is for the driver to handle
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, pass_fds=(order, result), process_group=0
        )
    finally:
        os.close(order)
        os.close(result)
    return process, Connection(to_write, readable=False), Connection(to_read, writable=False)


def main(order: Connection, result: Connection) -> None:
    """Receive an order, run the check, and send its outcome: an exception or None."""
    given = order.recv()
    threading.Thread(target=_exit_with_driver, args=(order,), daemon=True).start()
    result.send(_check(*given))


def _exit_with_driver(order: Connection) -> None:
    """End this process when the driver's end of the pipe is closed, even if the driver was killed."""
    with suppress(EOFError, OSError):
        order.recv()
    os._exit(1)


def _check(
    samples: Sequence[PlannedTrial],
    spec: StudySpec,
    with_data: bool,
    folder: Path | None,
    allowed: Collection[str],
) -> Exception | None:
    look_in(folder, allowed)
    try:
        import_custom_code(samples)
        if with_data:
            from l2rw_ray.preflight.data_check import check_data

            check_data(samples, spec)
    except (L2RWError, OSError) as error:
        return error.with_traceback(None)
    return None


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}"
