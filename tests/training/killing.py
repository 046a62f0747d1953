"""Trials that die at a step, what is left of those that do not, and a process that is killed."""

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config import PlannedTrial
from l2rw_ray.config.data.sources import Data
from l2rw_ray.config.run_options import CheckpointPolicy
from l2rw_ray.data import Splits, load_source, make_splits
from l2rw_ray.events import Event, Verdict
from l2rw_ray.training import CheckpointStore, Ranks, TrialExamples
from l2rw_ray.training.options import TrainingOptions
from l2rw_ray.training.ranks import unwrapped
from l2rw_ray.training.trainer import Trainer
from tests.training.conftest import results

EVERY_EPOCH = CheckpointPolicy(every_s=0.0)
"""And after each evaluation within one."""


class DeathError(Exception):
    """Stands for the end of the process."""


@dataclass(frozen=True)
class Ending:
    """What a trial ended with.

    Attributes:
        tensors: Parameters and buffers.
        results: Metrics by epoch and at the end, but for times.
        drawn: What the global generators gave at each step, by its number.
        examples: Bytes of what rank 0 keeps of its examples, by name.
    """

    tensors: Mapping[str, Tensor]
    results: Sequence[Any]
    drawn: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    examples: Mapping[str, bytes] = field(default_factory=dict)


def trained(
    trial: PlannedTrial,
    folder: Path | None = None,
    *,
    at_step: Callable[[int], object] = lambda number: None,
    ranks: Ranks = Ranks(),  # noqa: B008  # frozen
) -> Ending:
    """Train a trial, from its checkpoint where there is one.

    Args:
        trial: The trial.
        folder: Where its checkpoints are.
        at_step: Called inside each step, after the update.
        ranks: This process among its workers.
    """
    events: list[Event] = []

    def emit(event: Event) -> Verdict:
        events.append(event)
        return Verdict.CONTINUE

    store = CheckpointStore(folder, trial.trial_id, EVERY_EPOCH) if folder else None
    splits = _splits(trial.config.data, trial.seed)
    kept: list[TrialExamples] = []
    options = TrainingOptions(ranks=ranks, checkpoints=store, keep_examples=kept.append)
    trainer = Trainer(trial, splits, emit, options)
    drawn, step = {}, trainer._method.step

    def watched(batch: Any, number: int, epoch: int) -> Any:
        outcome = step(batch, number, epoch)
        legacy = np.random.random_sample()  # noqa: NPY002  # what a user's model may draw from
        drawn[number] = (random.random(), legacy, torch.rand(()).item())
        at_step(number)
        return outcome

    trainer._method.step = watched
    trainer.run()
    told = [*getattr(events[0], "history", ()), *events] if events else []
    return Ending(unwrapped(trainer._context.model).state_dict(), results(told), drawn, _bytes(kept))


def _bytes(kept: Sequence[TrialExamples]) -> dict[str, bytes]:
    return {
        name: values.tobytes()
        for found in kept
        for name, values in {**found.evidence, "probabilities": found.predictions.probabilities_NK}.items()
    }


def raise_at(step: int) -> Callable[[int], None]:
    """Dies in the step of that number."""

    def at_step(number: int) -> None:
        if number == step:
            raise DeathError

    return at_step


def differences(one: Ending, other: Ending) -> list[str]:
    """The tensors, metrics and draws in which two endings differ in any bit; draws of steps of both."""
    found = [
        name
        for name in {*one.tensors, *other.tensors}
        if name not in one.tensors
        or name not in other.tensors
        or not torch.equal(one.tensors[name], other.tensors[name])
    ]
    if repr(one.results) != repr(other.results):  # a NaN is equal to itself
        found.append("metrics")
    if one.examples != other.examples:
        found.append("examples")
    both = one.drawn.keys() & other.drawn.keys()
    return found + [f"draws of step {step}" for step in both if one.drawn[step] != other.drawn[step]]


@lru_cache(maxsize=4)
def _splits(config: Data, seed: int) -> Splits:
    return make_splits(load_source(config), config, seed, with_untrained=True)


def main() -> None:
    """Train the trial of a file, and be killed in a step: `killing.py TRIAL FOLDER STEP`."""
    import os
    import pickle
    import signal

    trial_file, folder, step = sys.argv[1:]

    def at_step(number: int) -> None:
        if number == int(step):
            os.kill(os.getpid(), signal.SIGKILL)

    trained(pickle.loads(Path(trial_file).read_bytes()), Path(folder), at_step=at_step)


if __name__ == "__main__":
    main()
