"""Typed events: the only channel out of the training core.

Training emits them, in order, on rank 0 only; ledger, tracking and progress display observe them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class TrialStatus(StrEnum):
    """How a trial ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


class Verdict(StrEnum):
    """The answer to an event: go on, or leave at this point with what there is."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class EpochCompleted:
    """One pass over the train set is done and evaluated on the validation set.

    Attributes:
        epoch: Epochs trained so far, from 1.
        step: Optimiser steps so far.
        duration_s: Wall time of this epoch, evaluation included.
        metrics: `train_loss`, the mean loss without weights of the examples stepped on;
            `validation_*`, of a regression in the target's own unit but for the loss; and for arms with
            weights `weighted_train_loss` (mean over the steps that updated), `mean_weight` (relative to
            1/B), `effective_sample_size` (examples), `zero_weight_fraction`, `corrupted_weight_share`,
            `corrupted_auroc`, `skipped_fraction` (of the epoch's steps), `skipped_steps` (of the whole
            trial) and `direction_cosine` (of successive directions); and what an arm tells of its epoch,
            such as `dropped_fraction`.
    """

    trial_id: str
    epoch: int
    step: int
    duration_s: float
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """Data and model are ready and the first step is next.

    Attributes:
        trial_id: Fingerprint of the trial.
        attempt: 1 for the first try, counted up when the infrastructure lost the trial.
        world_size: Number of data-parallel workers.
        device: Device type the model is on (`cpu`, `cuda`).
        hardware: Processor or accelerator model and count, for people.
        train_examples: Size of the train set after the protocols.
        epochs: Epochs the trial will train.
        split_hashes: SHA-256 over the row indices of each of train, meta, validation and test.
        class_counts: Train examples per class as labelled, class name to count.
        history: Epochs trained in earlier attempts, which are not told again.
        elapsed_s: Wall time that earlier attempts took up to the last of them.
    """

    trial_id: str
    attempt: int
    world_size: int
    device: str
    hardware: str
    train_examples: int
    epochs: int
    split_hashes: Mapping[str, str]
    class_counts: Mapping[str, int]
    history: tuple[EpochCompleted, ...] = ()
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """The last event of a trial, whatever became of it.

    Attributes:
        status: How it ended.
        epochs: Epochs trained.
        steps: Optimiser steps taken.
        duration_s: Wall time of training, evaluation and measurement over all attempts.
        metrics: Final figures, named as the ledger's columns.
        error: `ExceptionType: message` of a failed trial, the reason of a stopped one.
        traceback: Full traceback of a failed trial.
        warnings: Signs that the arm did not work as it should, with what to do.
    """

    trial_id: str
    status: TrialStatus
    epochs: int
    steps: int
    duration_s: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    traceback: str | None = None
    warnings: tuple[str, ...] = ()


Event = TrialStarted | EpochCompleted | TrialEnded
Emit = Callable[[Event], Verdict]
"""How training emits an event, and learns whether to go on."""
Observer = Callable[[Event], None]
"""Whoever takes note of events."""
