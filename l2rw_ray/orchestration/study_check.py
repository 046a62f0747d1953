"""Check a study's custom code, data and models in a process of its own, while Ray starts.

The check imports torch and loads data. In a process of its own it takes none of the time that Ray takes to
start, its memory does not stay with the driver, and a crash in a native library is told apart from bad input.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.errors import InfrastructureError, L2RWError
from l2rw_ray.import_path import look_in, looked_in
from l2rw_ray.orchestration.custom_code import import_custom_code

_ORDER, _RESULT = "check.order", "check.result"
_MAIN = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from l2rw_ray.orchestration.study_check import main
main()
"""


@dataclass(frozen=True)
class StudyCheck:
    """A check under way.

    Attributes:
        process: The process; None if there is nothing to check.
        result: File for its outcome.
    """

    process: "subprocess.Popen[bytes] | None"
    result: Path

    def finish(self) -> None:
        """Wait for the check.

        Raises:
            InputError: Custom code, data or a model cannot be used.
            OutOfReachError: The store of a source is unreachable.
            OSError: A file cannot be read.
            InfrastructureError: The process ended without a result.
        """
        if self.process is None:
            return
        code = self.process.wait()
        if not self.result.exists():
            raise InfrastructureError(f"the check of data and models {_ending(code)} before it had a result")
        error = pickle.loads(self.result.read_bytes())  # noqa: S301  # written by `main`
        if error is not None:
            raise error


@contextmanager
def checking(
    samples: Sequence[PlannedTrial], spec: StudySpec, scratch: Path, *, with_data: bool
) -> Iterator[StudyCheck]:
    """Check these trials while the block runs; leaving it ends a check that has not finished.

    Args:
        samples: Trials that stand for all of the study.
        spec: The study.
        scratch: A folder for the files of the check.
        with_data: Whether to check data and models: the nodes of a cluster may have other files.
    """
    order, result = scratch / _ORDER, scratch / _RESULT
    if not with_data and not any(trial.config.import_paths for trial in samples):
        yield StudyCheck(None, result)
        return
    order.write_bytes(pickle.dumps((samples, spec, with_data, looked_in())))
    command = [sys.executable, "-c", _MAIN, str(order), str(result)]
    # in a process group of its own, since Ctrl-C is for the driver to handle
    process = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            pickle.dump(sys.path, pipe)
            pipe.flush()
            yield StudyCheck(process, result)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Run the check that the command line names; its outcome is an exception or None, pickled."""
    threading.Thread(target=_exit_with_driver, daemon=True).start()
    order, result = map(Path, sys.argv[1:])
    error = _check(*pickle.loads(order.read_bytes()))  # noqa: S301  # written by the driver
    partial = result.with_suffix(".partial")
    partial.write_bytes(pickle.dumps(error))
    partial.rename(result)


def _exit_with_driver() -> None:
    """End this process when the driver's end of the pipe is closed, even if the driver was killed."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def _check(
    samples: Sequence[PlannedTrial], spec: StudySpec, with_data: bool, folder: Path | None
) -> Exception | None:
    look_in(folder)
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
