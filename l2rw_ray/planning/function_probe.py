"""Estimate how long trials of functions and scripts take, from their first epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from time import perf_counter

from l2rw_ray.config import PlannedTrial
from l2rw_ray.events import EpochCompleted, Event, Verdict
from l2rw_ray.import_path import load
from l2rw_ray.training.functions.running import run_trial

_BUDGET_S = 120.0
"""Time after which no further trial is started."""
_EPOCHS = 2
"""Epochs after which a timed trial is stopped, the first of which warms up."""


@dataclass(frozen=True)
class Estimate:
    """Result of a probe.

    Attributes:
        trial_s: Mean seconds of one trial, in one process of this machine.
        timed: Number of groups timed.
        kinds: Number of groups; the others are estimated from the nearest one timed.
        longest_s: Seconds of the longest trial.
        what: What was timed of each.
    """

    trial_s: float
    timed: int
    kinds: int
    longest_s: float
    what: str = "a few steps"

    @property
    def basis(self) -> str:
        """Description of how the estimate was made."""
        counted = f"{self.timed}" if self.timed == self.kinds else f"{self.timed} of {self.kinds}"
        return f"{self.what} of {counted} kind{'s' * (self.kinds > 1)} of trial, timed here"


def probe_functions(trials: Sequence[PlannedTrial]) -> Estimate:
    """Estimate how long these trials take: the first two epochs of each distinct one, or all of one without.

    Args:
        trials: At least one, of functions or scripts.

    Raises:
        InputError: A function or script cannot be run.
        Exception: Whatever it raises.
    """
    distinct = {trial.config.model_dump_json(): trial for trial in reversed(trials)}
    kinds = list(reversed(distinct.values()))
    found: list[float] = []
    started = perf_counter()
    for trial in kinds:
        if found and perf_counter() - started > _BUDGET_S:
            break
        found.append(_time(trial))
    return Estimate(fmean(found), len(found), len(kinds), max(found), "the first epochs")


def _time(trial: PlannedTrial) -> float:
    for field, path in trial.config.import_paths.items():
        load(path, field)  # once per worker, not per trial
    observer = _FirstEpochs(None if trial.config.planned_epochs is None else _EPOCHS)
    started = perf_counter()
    run_trial(trial, observer)
    took_s = perf_counter() - started
    planned, epochs = trial.config.planned_epochs, observer.durations_s
    if planned is None or planned <= len(epochs):
        return took_s
    return took_s + (planned - len(epochs)) * epochs[-1]


class _FirstEpochs:
    """Observes a trial, and stops it after some epochs."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self.durations_s: list[float] = []

    def __call__(self, event: Event) -> Verdict:
        if isinstance(event, EpochCompleted):
            self.durations_s.append(event.duration_s)
        return Verdict.STOP if len(self.durations_s) == self._most else Verdict.CONTINUE
