"""What a training function is called with: its parameters, and the way to report, save and resume."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, SupportsFloat

import torch
from typing_extensions import TypeVar

from l2rw_ray.events import Verdict
from l2rw_ray.training.determinism import seed_globals
from l2rw_ray.training.functions.saved_state import StateSource
from l2rw_ray.training.functions.session import Report, TrialSession

P = TypeVar("P", default=Mapping[str, Any])


@dataclass(frozen=True)
class Checkpoint:
    """What a trial saved last.

    Attributes:
        epoch: Epochs that were over, so that `range(checkpoint.epoch, epochs)` are left.
        step: Optimiser steps that were made, where they were reported; else the number of epochs.
        state: What was given as `checkpoint`: a mapping, bytes, or the path of a copy of the file or folder.
        metrics: Latest value of each metric reported before.
    """

    epoch: int
    step: int
    state: Any
    metrics: Mapping[str, float]

    @property
    def path(self) -> Path:
        """The saved file or folder; only where a path was saved."""
        assert isinstance(self.state, Path), "the checkpoint holds no path"
        return self.state

    def __getitem__(self, name: str) -> Any:
        """Return a part of the state by name; only where a mapping was saved."""
        return self.state[name]


class Trial(Generic[P]):
    """One training run, as its function sees it: parameters, seed and place, and the way to report.

    A study calls the function with one. `Trial({"lr": 0.1}, seed=3)` makes one for a plain loop: it records
    what is reported in `history` and `metrics`, and saves nothing.

    With several workers every rank calls the function, and calls `report`, `restore` and `finish` equally
    often: they wait for each other. The default process group is up, and rank 0's metrics count.

    Attributes:
        params: Parameters by name; an instance of `P`, a pydantic model or dataclass, for `Trial[P]`.
        seed: Seed of the trial. Python's, NumPy's and torch's generators are seeded from it.
        rank: Number of this worker, from 0.
        world_size: Number of workers.
        device: Where to train.
        attempt: Number of this attempt, from 1: more where a worker was lost.
        trial_id: The trial's fingerprint; empty in a plain loop.
        folder: An empty folder for files of this attempt; it is deleted afterwards.

    Args:
        params: Parameters by name, or the object that holds them.
        seed: Seed of the trial.
        session: What the trial belongs to; by default nothing.
    """

    def __init__(self, params: P, seed: int = 0, *, session: TrialSession | None = None) -> None:
        self._session = session or TrialSession()
        self.params, self.seed = params, seed

    @property
    def rank(self) -> int:
        """Number of this worker, from 0."""
        return self._session.ranks.rank

    @property
    def world_size(self) -> int:
        """Number of workers."""
        return self._session.ranks.world_size

    @property
    def device(self) -> torch.device:
        """Where to train."""
        return self._session.options.device

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        return self._session.options.attempt

    @property
    def trial_id(self) -> str:
        """The trial's fingerprint; empty in a plain loop."""
        return self._session.trial_id

    @property
    def folder(self) -> Path:
        """An empty folder for files of this attempt; it is deleted afterwards."""
        return self._session.folder

    @property
    def session(self) -> TrialSession:
        """What the trial belongs to; for the trainers of this package."""
        return self._session

    @property
    def history(self) -> list[dict[str, float]]:
        """Metrics of each epoch reported so far, those before a restored checkpoint included."""
        return [dict(epoch.metrics) for epoch in self._session.history]

    @property
    def metrics(self) -> dict[str, float]:
        """Latest value of each metric, those of `finish` included."""
        return self._session.metrics

    def report(
        self,
        metrics: Mapping[str, SupportsFloat],
        *,
        epoch: int | None = None,
        step: int | None = None,
        checkpoint: StateSource | None = None,
    ) -> Verdict:
        """Report the metrics of an epoch that is over, or of any other part of training that repeats.

        Args:
            metrics: Values by name; numbers, or tensors and arrays of one. Declared ones are in the report.
            epoch: Number of the epoch, from 0; None for the next one. One that is reported again is replaced.
            step: Optimiser steps made so far; None where that is of no interest.
            checkpoint: What `restore` returns if the trial has to go on elsewhere: tensors and plain values
                by name, bytes, the path of a file or folder, or a function that returns one of these, which
                is called when a checkpoint is due. The generators' states are saved with it.

        Returns:
            Whether to continue. After `Verdict.STOP` the function should return.

        Raises:
            NonFiniteError: A metric is NaN or infinite.
            InputError: A metric is no number, the checkpoint holds what cannot be saved, or an epoch before
                the last one is reported.
        """
        return self._session.report(Report(metrics, epoch, step, checkpoint))

    def restore(self) -> Checkpoint | None:
        """Return the last checkpoint, and restore the generators; None where the trial starts afresh."""
        found = self._session.restore()
        if found is None:
            return None
        return Checkpoint(found.epoch, found.step, found.state, found.metrics)

    def finish(self, metrics: Mapping[str, SupportsFloat] | None = None) -> None:
        """Record the trial's final metrics, such as those of the test set, once, at its end.

        Those reported per epoch need not be repeated: the latest value of each counts.

        Raises:
            NonFiniteError: A metric is NaN or infinite.
            InputError: A metric is no number, or the trial has been finished before.
        """
        self._session.finish(metrics or {})

    def seed_everything(self) -> None:
        """Seed Python's, NumPy's and torch's generators from `seed` and `rank`, as a study does before."""
        seed_globals(self.seed, "training", self.rank)
