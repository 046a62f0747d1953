"""A timed probe: one epoch of each arm, to say how long a study will take."""

from collections.abc import Sequence
from statistics import fmean
from time import perf_counter

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.events import EpochCompleted, Event, Verdict
from l2rw_ray.training import train_trial


def probe_trials(trials: Sequence[PlannedTrial]) -> float:
    """Mean seconds that one of these trials will take in one process of this machine.

    For each arm the first trial is trained for one epoch; set-up counts once, epochs as often as
    the trial has them.
    """
    first: dict[str, PlannedTrial] = {}
    for trial in trials:
        first.setdefault(trial.config.method.name, trial)
    by_arm = {name: _trial_s(trial) for name, trial in first.items()}
    return fmean(by_arm[trial.config.method.name] for trial in trials)


def _trial_s(trial: PlannedTrial) -> float:
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    epochs_s: list[float] = []

    def emit(event: Event) -> Verdict:
        if isinstance(event, EpochCompleted):
            epochs_s.append(event.duration_s)
            return Verdict.STOP
        return Verdict.CONTINUE

    started = perf_counter()
    train_trial(trial, splits, emit)
    set_up_s = perf_counter() - started - epochs_s[0]
    return set_up_s + epochs_s[0] * trial.config.optim.epochs
