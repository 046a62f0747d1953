"""What each gloo rank runs: a trial of every arm; rank 0 writes what it saw for the test to judge."""

import os
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.events import Event, Verdict
from l2rw_ray.training import CheckpointStore, Ranks, train_trial
from tests.training.conftest import results


def run_rank(rank: int, folder: str, world_size: int, trials: dict[str, PlannedTrial]) -> None:
    torch.set_num_threads(1)
    rendezvous, patience = f"file://{folder}/rendezvous", timedelta(minutes=2)  # for ranks that part ways
    dist.init_process_group("gloo", rendezvous, patience, world_size=world_size, rank=rank)
    found = {name: _figures(trial, Ranks(rank, world_size)) for name, trial in trials.items()}
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    dist.barrier()
    dist.destroy_process_group()
    # Gloo's threads may still drop tensors while the interpreter is torn down, and abort the process.
    os._exit(0)


def resume_on_rank(rank: int, folder: str, world_size: int, trial: PlannedTrial) -> None:
    """Train a trial undisturbed, and in two parts; rank 0 writes the last figures of both."""
    torch.set_num_threads(1)
    rendezvous, patience = f"file://{folder}/rendezvous", timedelta(minutes=2)
    dist.init_process_group("gloo", rendezvous, patience, world_size=world_size, rank=rank)
    ranks, store = Ranks(rank, world_size), CheckpointStore(Path(folder), trial.trial_id)
    undisturbed = _figures(trial, ranks)
    _figures(trial, ranks, store, stop_after=2)
    resumed = _figures(trial, ranks, store)
    if rank == 0:
        torch.save((undisturbed[-1], resumed[-1]), Path(folder) / "found.pt")
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)


def _figures(
    trial: PlannedTrial, ranks: Ranks, store: CheckpointStore | None = None, stop_after: int | None = None
) -> list[dict[str, float]]:
    events: list[Event] = []

    def emit(event: Event) -> Verdict:
        events.append(event)
        return Verdict.STOP if getattr(event, "epoch", None) == stop_after else Verdict.CONTINUE

    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    train_trial(trial, splits, emit, ranks=ranks, checkpoints=store)
    return [figures for _, _, figures in results(events)]
