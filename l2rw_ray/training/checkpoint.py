"""Where a trial goes on after its worker was lost."""

import hashlib
import io
import logging
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from l2rw_ray.config.run_options import CheckpointPolicy
from l2rw_ray.events import CHECKPOINT_WARNING, EpochCompleted, StepSeries, WeightHistogram
from l2rw_ray.training.checkpoint_files import CheckpointFiles, LocalFiles

State = dict[str, Any]

_FORMAT = 2
"""Counted up when the meaning of a state changes: those of other versions are passed over."""
_NAME = re.compile(r"(?P<step>\d{9,})-(?P<digest>[0-9a-f]{16})\.pt")
_DEFAULT = CheckpointPolicy()
_LOGGER = logging.getLogger(__name__)


class CheckpointStore:
    """The last checkpoints of a trial, `<trial_id>/<step>-<digest>.pt`.

    Names sort by step and tell what the content hashes to: `torch.load` itself does not notice a changed
    byte. A checkpoint is a convenience, so none that cannot be written or read ends a trial; `warnings`
    tells of them.

    Args:
        folder: The study's checkpoint folder, reachable from every node that may run the trial.
        trial_id: The trial's fingerprint.
        policy: When it saves, and how many are kept.
        files: Where they lie instead, if not in a folder.

    Attributes:
        warnings: What went wrong and what came of it, each once.
    """

    def __init__(
        self,
        folder: Path,
        trial_id: str,
        policy: CheckpointPolicy = _DEFAULT,
        files: CheckpointFiles | None = None,
    ) -> None:
        self._files: CheckpointFiles = files or LocalFiles(folder / trial_id)
        self._place, self._disk = str(files or folder / trial_id), str(files or folder)
        self.policy = policy
        self.warnings: list[str] = []
        self._has_failed = False

    def save(self, state: State) -> None:
        """Add a checkpoint, then remove those that are not kept.

        Those of the same or of later steps go too: the trial did not go on from them.

        Args:
            state: Tensors and plain values; `step` is the number of steps made.
        """
        buffer = io.BytesIO()
        torch.save({"format": _FORMAT, "warnings": self.warnings, **state}, buffer)
        content = buffer.getvalue()
        name = f"{state['step']:09d}-{_digest(content)}.pt"
        try:
            self._files.write(name, content)
            earlier = [other for other in self._names() if _step(other) < state["step"]]
            kept = {name, *earlier[max(len(earlier) + 1 - self.policy.keep, 0) :]}
            for other in set(self._names()) - kept:
                self._files.remove(other)
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                remedy = f"see to the disk of {self._disk}"
                self._warn(f"{name} was not written ({_reason(error)})", remedy)

    def load(self, misfit: Callable[[State], str | None] = lambda state: None) -> State | None:
        """The last state that can be used; None where there is none.

        Args:
            misfit: What speaks against going on from a state; None where nothing does.
        """
        passed_over, state = [], None
        try:
            self._files.sweep()
            names = self._names()
        except OSError as error:
            self._warn(f"folder {self._place} cannot be read ({_reason(error)})", "the trial began anew")
            return None
        for name in reversed(names):
            state, problem = self._read(name, misfit)
            if state is not None:
                self.warnings = state.pop("warnings", [])
                break
            passed_over.append(f"{name} was passed over ({problem})")
        for what in passed_over:
            self._warn(what, "the trial went on from an earlier one" if state else "the trial began anew")
        return state

    def _read(self, name: str, misfit: Callable[[State], str | None]) -> tuple[State | None, str | None]:
        """A checkpoint, or what is wrong with it."""
        try:
            content = self._files.read(name)
        except OSError as error:
            return None, _reason(error)
        if f"-{_digest(content)}." not in name:
            return None, "damaged"
        try:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError):
            return None, "no checkpoint"
        if not isinstance(state, dict) or state.pop("format", None) != _FORMAT:
            return None, "of another version"
        problem = misfit({name: part for name, part in state.items() if name != "warnings"})
        return (state, None) if problem is None else (None, problem)

    def _names(self) -> list[str]:
        return [name for name in self._files.names() if _NAME.fullmatch(name)]

    def _warn(self, what: str, remedy: str) -> None:
        warning = f"{CHECKPOINT_WARNING} {what}: {remedy}"
        if warning not in self.warnings:
            self.warnings.append(warning)
            _LOGGER.warning("%s", warning)


class CheckpointSchedule:
    """Tells when the next checkpoint is due; spans are those of a clock that nobody sets.

    Args:
        policy: The intervals.
        clock: Seconds since some moment.
    """

    def __init__(self, policy: CheckpointPolicy, clock: Callable[[], float] = monotonic) -> None:
        self._policy, self._clock = policy, clock
        self._saved_at, self._saved_epoch = clock(), 0

    def is_due(self, epoch: int) -> bool:
        """Whether an interval is over.

        Args:
            epoch: Epochs trained.
        """
        every_s, every_epochs = self._policy.every_s, self._policy.every_epochs
        by_time = every_s is not None and self._clock() - self._saved_at >= every_s
        return by_time or (every_epochs is not None and epoch - self._saved_epoch >= every_epochs)

    def note(self, epoch: int) -> None:
        """Take note that there is a checkpoint of this epoch."""
        self._saved_at, self._saved_epoch = self._clock(), epoch


def restored_history(saved: Iterable[Mapping[str, Any]]) -> list[EpochCompleted]:
    """The epochs that a checkpoint holds as dictionaries."""
    parts = {"weights": WeightHistogram, "series": StepSeries}
    return [
        EpochCompleted(
            **{
                name: parts[name](**value) if name in parts and value else value
                for name, value in epoch.items()
            }
        )
        for epoch in saved
    ]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _step(name: str) -> int:
    return int(name.partition("-")[0])


def _reason(error: OSError) -> str:
    if error.strerror:
        return error.strerror.lower()
    return next(iter(str(error).splitlines()), type(error).__name__)  # of an object store
