"""Typed events: the only channel out of the training core.

Training emits them, in order, on rank 0 only, and the broker those of lost attempts; ledger, tracking and
progress display observe them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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


WEIGHT_EDGES = (0.0, 0.0075, 0.013, 0.024, 0.042, 0.075, 0.13, 0.24, 0.42, 0.75, 1.3, 2.4, 4.2, 7.5, 13.0)
"""Upper edges, inclusive, of a weight histogram's bins; the first takes all from 0 down, and one more bin
all above the last edge. Four bins a decade, one of them around 1."""


@dataclass(frozen=True, slots=True)
class WeightHistogram:
    """How many train examples had which mean weight over an epoch, relative to 1/B.

    Attributes:
        clean: Examples with the right label per bin of `WEIGHT_EDGES`.
        corrupted: Examples with a wrong label per bin.
    """

    clean: tuple[int, ...]
    corrupted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StepSeries:
    """What the steps of an epoch did, in chunks of equally many steps, the last of which may be shorter.

    Attributes:
        step: Optimiser steps of the whole trial at the end of each chunk.
        train_loss: Mean over the chunk of the steps' losses without weights; None where none was evaluated.
        effective_sample_size: Mean over the chunk's steps that computed weights, one of them positive;
            None where there is no such step.
    """

    step: tuple[int, ...]
    train_loss: tuple[float | None, ...]
    effective_sample_size: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """Examples of a set by true and predicted class.

    Attributes:
        class_names: Name of each class.
        counts: Examples, a row per true class, a column per predicted one.
    """

    class_names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


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
        weights: The examples' weights; None for an arm or an epoch without.
        series: What the steps did.
    """

    trial_id: str
    epoch: int
    step: int
    duration_s: float
    metrics: Mapping[str, float]
    weights: WeightHistogram | None = None
    series: StepSeries | None = None


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
        split_sizes: Examples of each of train, meta, validation and test.
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
    split_sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AttemptLost:
    """The infrastructure has ended an attempt; the trial waits for another, from its last checkpoint.

    Attributes:
        trial_id: Fingerprint of the trial.
        attempt: The one that was lost, from 1.
        reason: Why, in words.
    """

    trial_id: str
    attempt: int
    reason: str


CHECKPOINT_WARNING = "checkpoint"
"""Begins the warnings that tell of files, not of how the arm did."""


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
        warnings: Signs that the arm did not work as it should, with what to do; and checkpoints that could
            not be written or used.
        confusion: The test set by true and predicted class; None of a regression.
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
    confusion: ConfusionMatrix | None = None


Event = TrialStarted | EpochCompleted | AttemptLost | TrialEnded
Emit = Callable[[Event], Verdict]
"""How training emits an event, and learns whether to go on."""
Observer = Callable[[Event], None]
"""Whoever takes note of events."""


def without_arrays(event: Event) -> Event:
    """The event with its figures only, for who keeps the events of many trials."""
    match event:
        case EpochCompleted():
            return _figures_only(event)
        case TrialStarted():
            return replace(event, history=tuple(_figures_only(epoch) for epoch in event.history))
        case TrialEnded():
            return replace(event, confusion=None)
        case AttemptLost():
            return event


def _figures_only(epoch: EpochCompleted) -> EpochCompleted:
    return replace(epoch, weights=None, series=None)
