"""How a trial is run, as opposed to what it trains: nothing here changes its metrics."""

from dataclasses import dataclass
from pathlib import Path

import torch

from l2rw_ray.data import ReadParts, read_here
from l2rw_ray.training.checkpoint import CheckpointStore
from l2rw_ray.training.examples.trial_examples import KeepExamples
from l2rw_ray.training.ranks import Ranks


@dataclass(frozen=True)
class TrainingOptions:
    """How a trial is run.

    Attributes:
        ranks: This process among the trial's workers.
        device: Where to train.
        checkpoints: Where to save, by the store's policy, and resume from; None saves nothing.
        attempt: Number of this attempt, from 1.
        epoch_steps: Steps after which an epoch ends early, to time it; None for all.
        read_parts: Reads the rows of a streamed train set; by default in this process.
        model_file: Where to save the trained model; None for nowhere.
        keep_examples: Stores evidence on each label on rank 0, at the trial's end; None collects none.
        system_metrics: Whether to report with each epoch how busy the machine is.
    """

    ranks: Ranks = Ranks()  # noqa: RUF009  # frozen
    device: torch.device = torch.device("cpu")  # noqa: RUF009  # immutable
    checkpoints: CheckpointStore | None = None
    attempt: int = 1
    epoch_steps: int | None = None
    read_parts: ReadParts = read_here
    model_file: Path | None = None
    keep_examples: KeepExamples | None = None
    system_metrics: bool = False
