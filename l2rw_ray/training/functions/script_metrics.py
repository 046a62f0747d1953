"""Read the metrics that a script writes: lines of JSON as it goes, or a tool's logs at its end."""

import json
import math
import sqlite3
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from l2rw_ray.errors import InputError
from l2rw_ray.limits import MAX_INTEGER
from l2rw_ray.printable import is_unicode
from l2rw_ray.training.functions.log_files import Series, tensorboard_scalars, wandb_scalars
from l2rw_ray.training.functions.session import Report

Epochs = dict[int, dict[str, float]]
"""Metrics by epoch, from 0."""
_UNREADABLE = (ValueError, LookupError, TypeError, OverflowError, RecursionError, struct.error)
"""What readers raise of files that are damaged."""
_EPOCH, _STEP, _CHECKPOINT = "epoch", "step", "checkpoint"


class LinesReader:
    """Reads the lines that a script appends to a file, each once it is complete.

    A line with `epoch`, counted from 1, is an epoch; `step` and `checkpoint`, the path of a saved file or
    folder, may go with it. One without is of the end of the trial.

    Attributes:
        final: Metrics of lines without an epoch.

    Args:
        path: The file, which need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._position = path, 0
        self.final: dict[str, float] = {}

    def read(self, *, is_complete: bool = False) -> list[Report]:
        """Return what has been added since the last call.

        Args:
            is_complete: Whether the script has ended, so that a last line without a newline counts.

        Raises:
            InputError: A line is not a JSON object, or its epoch, step or checkpoint is invalid.
        """
        if not self._path.is_file():
            return []
        with self._path.open("rb") as file:
            file.seek(self._position)
            lines = file.readlines()
        if lines and not is_complete and not lines[-1].endswith(b"\n"):
            lines.pop()  # it is being written
        self._position += sum(map(len, lines))
        found = (self._parsed(line) for line in lines if line.strip())
        return [report for report in found if report is not None]

    def _parsed(self, line: bytes) -> Report | None:
        text = line.decode(errors="replace").removeprefix("\ufeff").strip()
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            remedy = 'write lines such as {"epoch": 1, "validation_loss": 0.3}'
            raise InputError("metrics of the script", text, "no object of JSON", remedy)
        epoch, step, checkpoint = (given.pop(name, None) for name in (_EPOCH, _STEP, _CHECKPOINT))
        if epoch is None:
            self.final |= given
            return None
        for name, value, least in ((_EPOCH, epoch, 1), (_STEP, 0 if step is None else step, 0)):
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_INTEGER:
                problem = f"its {name} is no whole number from {least} on"
                raise InputError("metrics of the script", text, problem, f"count from {least}")
        if checkpoint is not None and not _is_path(checkpoint):
            remedy = "give the path of a file or a folder"
            raise InputError("metrics of the script", text, "its checkpoint is no path", remedy)
        saved = None if checkpoint is None else self._path.parent / "checkpoints" / checkpoint
        return Report(given, epoch=epoch - 1, step=step, checkpoint=saved)


def logged_epochs(tool: str, folder: Path) -> tuple[Epochs, dict[str, float]]:
    """Return the metrics of the logs that a tool left in a folder.

    Metrics with several steps are of epochs, one for each distinct step in order; others are final.

    Args:
        tool: `tensorboard`, `wandb` or `mlflow`.
        folder: Where the script has logged to.

    Raises:
        InputError: There are no metrics, or a log cannot be read.
    """
    series = _READERS[tool](folder)
    if not series:
        remedy = "log to the folder that L2RW_FOLDER names"
        raise InputError("trial.metrics_from", tool, "the script left no metrics", remedy)
    final = {name: next(iter(values.values())) for name, values in series.items() if len(values) == 1}
    curves = {name: values for name, values in series.items() if len(values) > 1}
    steps = sorted({step for values in curves.values() for step in values})
    return {
        number: {name: values[step] for name, values in curves.items() if step in values}
        for number, step in enumerate(steps)
    }, final


def _is_path(value: object) -> bool:
    return isinstance(value, str) and is_unicode(value) and "\0" not in value


def _mlflow(folder: Path) -> Series:
    """Return the metrics of all runs of the database that `MLFLOW_TRACKING_URI` named.

    Raises:
        InputError: It is no such database.
    """
    file = folder / "mlflow.db"
    if not file.is_file():
        return {}
    series: Series = {}
    try:
        with closing(sqlite3.connect(file)) as database:
            rows = database.execute("SELECT key, step, value, is_nan FROM metrics ORDER BY timestamp, step")
            for name, step, value, is_nan in rows:
                series.setdefault(str(name), {})[int(step)] = math.nan if is_nan else _unclamped(value)
    except (sqlite3.Error, *_UNREADABLE) as error:
        raise _unreadable(file.name, error) from error
    return series


def _unclamped(value: float) -> float:
    """Return a value as it was logged: MLflow stores an infinity as the largest number."""
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else float(value)


def _unreadable(file: str, error: Exception) -> InputError:
    problem = f"cannot be read ({type(error).__name__}: {error})"
    return InputError("log of the script", file, problem, "see whether its disk was full")


def _logs(pattern: str, read: Callable[[Path], Series], folder: Path) -> Series:
    """Return the metrics of all log files of a kind below a folder, by name.

    Raises:
        InputError: One is no such file.
    """
    series: Series = {}
    for file in sorted(folder.rglob(pattern)):
        try:
            found = read(file)
        except _UNREADABLE as error:
            raise _unreadable(str(file.relative_to(folder)), error) from error
        for name, values in found.items():
            series.setdefault(name, {}).update(values)
    return series


_READERS: Mapping[str, Callable[[Path], Series]] = {
    "mlflow": _mlflow,
    "tensorboard": partial(_logs, "events.out.tfevents.*", tensorboard_scalars),
    "wandb": partial(_logs, "*.wandb", wandb_scalars),
}
