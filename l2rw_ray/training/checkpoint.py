"""Checkpoints, from which a trial resumes after its worker was lost."""

import hashlib
import io
import logging
import pickle
import re
import struct
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from l2rw_ray.config.run_options import CheckpointPolicy
from l2rw_ray.events import CHECKPOINT_WARNING, EpochCompleted, StepSeries, WeightHistogram
from l2rw_ray.training.checkpoint_files import CheckpointFiles, LocalFiles

State = dict[str, Any]

_FORMAT = 2
"""Version of the state; checkpoints of other versions are skipped."""
_UNREADABLE = (
    *(RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError, AttributeError),
    *(TypeError, AssertionError, ArithmeticError, MemoryError, struct.error),
)
"""What `torch.load` of any bytes may raise."""
_NAME = re.compile(r"(?P<step>\d{9,})-(?P<digest>[0-9a-f]{16})\.pt")
_DEFAULT = CheckpointPolicy()
_LOGGER = logging.getLogger(__name__)


class CheckpointStore:
    """The last checkpoints of a trial, `<trial_id>/<step>-<digest>.pt`.

    Names sort by step and contain a hash of the content, since `torch.load` does not notice a changed byte.
    A checkpoint that cannot be written or read never fails the trial; it adds to `warnings`.

    Args:
        folder: The study's checkpoint folder, reachable from every node that may run the trial.
        trial_id: The trial's fingerprint.
        policy: When to save, and how many to keep.
        files: Where to store them, if not in the folder.

    Attributes:
        warnings: Problems and their consequences, each once.
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
        """Add a checkpoint, then remove old ones beyond the number to keep.

        Those of the same or of later steps are removed too: the trial did not resume from them.

        Args:
            state: Tensors and plain values, with the number of steps made as `step`.
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
                remedy = f"check the disk of {self._disk}"
                self._warn(f"{name} was not written ({_reason(error)})", remedy)

    def load(self, misfit: Callable[[State], str | None] = lambda state: None) -> State | None:
        """Return the last usable state, or None.

        Args:
            misfit: Returns why a state cannot be resumed from, or None.
        """
        skipped, state = [], None
        try:
            self._files.sweep()
            names = self._names()
        except OSError as error:
            self._warn(f"folder {self._place} cannot be read ({_reason(error)})", "the trial starts over")
            return None
        for name in reversed(names):
            state, problem = self._read(name, misfit)
            if state is not None:
                self.warnings = state.pop("warnings", [])
                break
            skipped.append(f"{name} was skipped ({problem})")
        for what in skipped:
            self._warn(what, "the trial resumes from an earlier one" if state else "the trial starts over")
        return state

    def _read(self, name: str, misfit: Callable[[State], str | None]) -> tuple[State | None, str | None]:
        """Return a checkpoint, or what is wrong with it."""
        try:
            content = self._files.read(name)
        except OSError as error:
            return None, _reason(error)
        if f"-{_digest(content)}." not in name:
            return None, "damaged"
        try:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except _UNREADABLE:
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
    """Decides when the next checkpoint is due, by a monotonic clock.

    Args:
        policy: The intervals.
        clock: Returns seconds since some moment.
    """

    def __init__(self, policy: CheckpointPolicy, clock: Callable[[], float] = monotonic) -> None:
        self._policy, self._clock = policy, clock
        self._saved_at, self._saved_epoch = clock(), 0.0

    def is_due(self, epoch: float) -> bool:
        """Return whether an interval is over.

        Args:
            epoch: Epochs trained.
        """
        every_s, every_epochs = self._policy.every_s, self._policy.every_epochs
        by_time = every_s is not None and self._clock() - self._saved_at >= every_s
        return by_time or (every_epochs is not None and epoch - self._saved_epoch >= every_epochs)

    def saved(self, epoch: float) -> None:
        """Restart the intervals after a checkpoint of this epoch."""
        self._saved_at, self._saved_epoch = self._clock(), epoch


def state_misfit(state: State, own: State, dispensable: Collection[str], world_size: int) -> str | None:
    """Return why a trial cannot resume from a state, or None.

    Args:
        state: That of a checkpoint.
        own: The trial's present one, without the generators.
        dispensable: Parts of a checkpoint that the trial may do without.
        world_size: Number of its workers.
    """
    if state.keys() - dispensable != own.keys() | {"generators"}:
        return "with other parts"
    shapes, wanted = ({name: value.shape for name, value in each["model"].items()} for each in (state, own))
    if shapes != wanted:
        return "of another network"
    return None if len(state["generators"]) == world_size else "of another number of workers"


def restored_history(saved: Iterable[Mapping[str, Any]]) -> list[EpochCompleted]:
    """Return the epochs that a checkpoint holds as dictionaries."""
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
