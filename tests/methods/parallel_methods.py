"""What each gloo rank runs, and sees for the test to judge: a trial of every method."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.events import Event, Verdict
from l2rw_ray.training import Ranks, TrainingOptions, train_trial
from l2rw_ray.training.trainer import Trainer
from tests.training.conftest import results
from tests.training.killing import DeathError, differences, raise_at, trained


def run_rank(rank: int, world_size: int, trials: dict[str, PlannedTrial]) -> dict[str, Any]:
    return {name: _metrics(trial, Ranks(rank, world_size)) for name, trial in trials.items()}


def resume_on_rank(
    rank: int, world_size: int, trials: dict[str, PlannedTrial], folder: Path
) -> dict[str, Any]:
    """Train trials undisturbed, and killed in the middle of an epoch; how the two differ."""
    ranks, found = Ranks(rank, world_size), {}
    for name, trial in trials.items():
        undisturbed = trained(trial, ranks=ranks)
        middle = len(undisturbed.drawn) * 3 // 5
        with suppress(DeathError):
            trained(trial, folder, at_step=raise_at(middle), ranks=ranks)
        resumed = trained(trial, folder, ranks=ranks)
        found[name] = {
            "differing": ranks.gather(differences(resumed, undisturbed)),
            "killed in": middle,
            "resumed from": min(resumed.drawn),
        }
    return found


def checks_on_rank(rank: int, world_size: int, trials: dict[str, PlannedTrial]) -> dict[str, Any]:
    """Train trials; what each rank found out about their scores."""
    ranks, found = Ranks(rank, world_size), {}
    for name, trial in trials.items():
        splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
        trainer = Trainer(trial, splits, lambda event: Verdict.CONTINUE, TrainingOptions(ranks=ranks))
        trainer.run()
        found[name] = ranks.gather({"estimator": trainer._checks.estimator, **trainer._checks.metrics})
    return found


def _metrics(trial: PlannedTrial, ranks: Ranks) -> list[dict[str, float]]:
    events: list[Event] = []

    def emit(event: Event) -> Verdict:
        events.append(event)
        return Verdict.CONTINUE

    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    train_trial(trial, splits, emit, TrainingOptions(ranks=ranks))
    return [metrics for _, _, metrics in results(events)]
