"""Run a custom script as a trial: its command line, its output and its metrics."""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from l2rw_ray.config import PlannedTrial, ScriptTrial
from l2rw_ray.config.functions.files import script_files
from l2rw_ray.errors import InputError, L2RWError
from l2rw_ray.events import Verdict
from l2rw_ray.training.functions.script_metrics import LinesReader, logged_epochs
from l2rw_ray.training.functions.session import Report, TrialSession

METRICS, FOLDER, SEED = "L2RW_METRICS", "L2RW_FOLDER", "L2RW_SEED"
"""Environment variables: the file to write metrics to, a folder of the trial's own, and its seed."""
CHECKPOINTS, RESUME, PARAMS = "L2RW_CHECKPOINTS", "L2RW_RESUME", "L2RW_PARAMS"
"""The folder to save checkpoints in, the checkpoint to resume from, and the parameters as JSON."""

METRICS_FILE = "metrics.jsonl"
_POLL_S = 0.1
_TERMINATE_S = 10.0
"""How long a stopped script may take to end after SIGTERM."""
_LAST_LINES = 20
_PR_SET_PDEATHSIG = 1
_INTERPRETERS = {".py": (sys.executable,), ".sh": ("bash",)}


class ScriptError(L2RWError):
    """A script ended with an exit code other than 0."""


def run_script(
    config: ScriptTrial, planned: PlannedTrial, session: TrialSession
) -> Mapping[str, float] | None:
    """Run a script to its end, reporting what it writes. Every rank runs it; rank 0's metrics count.

    Args:
        config: The script and its parameters.
        planned: The trial.
        session: What it belongs to.

    Returns:
        Its final metrics, those on lines without an epoch; None where it was stopped before its end.

    Raises:
        ScriptError: Its exit code is not 0; the last lines of its output are in the message and its notes.
        InputError: It is not found, or what it wrote is no metric.
    """
    variables = _environment(config, planned, session)
    command = command_line(config, planned.seed)
    reader = LinesReader(session.folder / METRICS_FILE)
    with _started(command, variables) as process:
        output = _Output(process)
        is_stopped = _follow(process, reader, session, output)
        code = process.wait()
        output.finish()
    if is_stopped:
        return None
    if code:
        raise _failure(config, code, output.last)
    if config.metrics_from == "json_lines":
        return reader.final
    epochs, final = logged_epochs(config.metrics_from, session.folder)
    for epoch, metrics in epochs.items():
        session.report(Report(metrics, epoch=epoch))
    return final


def command_line(config: ScriptTrial, seed: int) -> list[str]:
    """Return the words of the command: the script, its parameters as options, and the seed.

    Args:
        config: The script.
        seed: The trial's seed.

    Raises:
        InputError: The script is not found.
    """
    files = script_files(config)
    words = [str(files.get(word, word)) for word in config.words]
    first = Path(words[0])
    command = [*_INTERPRETERS.get(first.suffix, ()), *words]
    if shutil.which(command[0]) is None:
        raise InputError("trial.script", config.script, f"no program {command[0]!r}", "fix the command")
    params: dict[str, Any] = dict(config.params)
    if config.seed_option is not None:
        params.setdefault(config.seed_option, seed)
    return [*command, *(word for name, value in params.items() for word in _option(config, name, value))]


def _option(config: ScriptTrial, name: str, value: Any) -> list[str]:
    """Return a parameter as words of a command line."""
    if config.options == "name=value":
        return [f"{name}={_text(value)}"]
    flag = f"--{name}"
    if value is None or value is False:
        return []
    if value is True:
        return [flag]
    values = [_text(each) for each in value] if isinstance(value, list) else [_text(value)]
    return [f"{flag}={','.join(values)}"] if config.options == "--name=value" else [flag, *values]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _environment(config: ScriptTrial, planned: PlannedTrial, session: TrialSession) -> dict[str, str]:
    """Return the environment of the script: where it writes, and what it may resume from."""
    checkpoints = session.folder / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    restored = session.restore()
    variables = {
        METRICS: str(session.folder / METRICS_FILE),
        FOLDER: str(session.folder),
        CHECKPOINTS: str(checkpoints),
        SEED: str(planned.seed),
        PARAMS: json.dumps(config.params),
        "PYTHONUNBUFFERED": "1",
        "MLFLOW_TRACKING_URI": f"sqlite:///{session.folder / 'mlflow.db'}",
    }
    if config.metrics_from == "wandb":
        variables |= {"WANDB_MODE": "offline", "WANDB_DIR": str(session.folder)}
    if restored is not None:
        variables[RESUME] = str(restored.state)
    if session.ranks.world_size > 1:  # this process's own group holds the port of its workers
        variables["MASTER_PORT"] = session.ranks.broadcast(_free_port() if session.ranks.leads else None)
    return {**os.environ, **variables}


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return str(probe.getsockname()[1])


@contextmanager
def _started(command: list[str], variables: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    """Start a process in a session of its own, which ends with the block, or with this process."""
    process = subprocess.Popen(
        command,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_end_with_parent,  # one call into the C library, loaded before the fork
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


_LIBRARY = ctypes.CDLL(None)


def _end_with_parent() -> None:
    if sys.platform == "linux":
        _LIBRARY.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _follow(
    process: "subprocess.Popen[bytes]", reader: LinesReader, session: TrialSession, output: "_Output"
) -> bool:
    """Report what the script writes until it ends. Returns whether it was stopped before."""
    while True:
        code = process.poll()
        has_ended = code is not None
        reports = reader.read(is_complete=code == 0) if session.ranks.leads else []
        has_ended, count = session.ranks.broadcast((has_ended, len(reports)))
        for number in range(count):
            report = reports[number] if session.ranks.leads else Report({})
            if session.report(report) is Verdict.STOP:
                _terminate(process)
                return True
        if has_ended:
            return False
        output.wait(_POLL_S)


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    """Ask a script to end."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_TERMINATE_S)


def _failure(config: ScriptTrial, code: int, last: Sequence[str]) -> ScriptError:
    how = f"ended with exit code {code}" if code > 0 else f"was killed by {signal.Signals(-code).name}"
    said = next((line for line in reversed(last) if line.strip()), "it printed nothing")
    error = ScriptError(f"{config.title} {how}: {said}")
    error.add_note("last lines of its output:\n" + "\n".join(last))
    return error


class _Output:
    """Copies a process's output to this process's, and keeps its last lines."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        self._stream: IO[bytes] = process.stdout
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    @property
    def last(self) -> list[str]:
        """The last lines so far."""
        return list(self._last)

    def wait(self, timeout_s: float) -> None:
        """Wait until the process has closed its output, or for so long."""
        self._thread.join(timeout_s)

    def finish(self) -> None:
        """Copy the rest; a child that the script left behind may keep the output open."""
        self._thread.join(1.0)

    def _copy(self) -> None:
        with self._stream:
            for line in self._stream:
                self._last.append(line.decode(errors="replace").rstrip("\n"))
                with suppress(OSError):  # a full disk
                    os.write(1, line)
