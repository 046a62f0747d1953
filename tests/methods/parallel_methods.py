"""What each gloo rank runs: a trial of every method; rank 0 writes what it saw for the test to judge."""

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.events import Event, Verdict
from l2rw_ray.training import Ranks, TrainingOptions, train_trial
from tests.training.conftest import results
from tests.training.killing import DeathError, differences, raise_at, trained


def run_rank(rank: int, folder: str, world_size: int, trials: dict[str, PlannedTrial]) -> None:
    torch.set_num_threads(1)
    rendezvous, patience = f"file://{folder}/rendezvous", timedelta(minutes=2)  # for ranks that part ways
    dist.init_process_group("gloo", rendezvous, patience, world_size=world_size, rank=rank)
    found = {name: _metrics(trial, Ranks(rank, world_size)) for name, trial in trials.items()}
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    dist.barrier()
    dist.destroy_process_group()
    # Gloo's threads may still drop tensors while the interpreter is torn down, and abort the process.
    os._exit(0)


def resume_on_rank(rank: int, folder: str, world_size: int, trials: dict[str, PlannedTrial]) -> None:
    """Train trials undisturbed, and killed in the middle of an epoch; rank 0 writes how the two differ."""
    torch.set_num_threads(1)
    rendezvous, patience = f"file://{folder}/rendezvous", timedelta(minutes=2)
    dist.init_process_group("gloo", rendezvous, patience, world_size=world_size, rank=rank)
    ranks, found = Ranks(rank, world_size), {}
    for name, trial in trials.items():
        undisturbed = trained(trial, ranks=ranks)
        middle = len(undisturbed.drawn) * 3 // 5
        with suppress(DeathError):
            trained(trial, Path(folder), at_step=raise_at(middle), ranks=ranks)
        resumed = trained(trial, Path(folder), ranks=ranks)
        found[name] = {
            "differing": ranks.gather(differences(resumed, undisturbed)),
            "killed in": middle,
            "resumed from": min(resumed.drawn),
        }
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)


def _metrics(trial: PlannedTrial, ranks: Ranks) -> list[dict[str, float]]:
    events: list[Event] = []

    def emit(event: Event) -> Verdict:
        events.append(event)
        return Verdict.CONTINUE

    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    train_trial(trial, splits, emit, TrainingOptions(ranks=ranks))
    return [metrics for _, _, metrics in results(events)]
