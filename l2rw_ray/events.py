"""Typed events: the only channel out of the training core.

Training emits them in order, on rank 0 only; the broker emits those of lost attempts. The ledger, MLflow
tracking and the progress display observe them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class TrialStatus(StrEnum):
    """How a trial ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    DIVERGED = "diverged"
    """Its training produced NaN or infinity: a result of the trial, not a failure of what ran it."""


def status_of_error(error: str) -> TrialStatus:
    """Return how a trial ended that raised an error.

    Args:
        error: `ExceptionType: message`.
    """
    return TrialStatus.DIVERGED if error.startswith("NonFiniteError: ") else TrialStatus.FAILED


class Verdict(StrEnum):
    """The answer to an event: continue, or stop now and keep what has been trained."""

    CONTINUE = "continue"
    STOP = "stop"


WEIGHT_EDGES = (0.0, 0.0075, 0.013, 0.024, 0.042, 0.075, 0.13, 0.24, 0.42, 0.75, 1.3, 2.4, 4.2, 7.5, 13.0)
"""Upper edges, inclusive, of a weight histogram's bins, four per decade, one of them around 1. The first bin
holds everything up to 0; one more bin holds everything above the last edge."""


@dataclass(frozen=True, slots=True)
class WeightHistogram:
    """Histogram of the train examples' mean weights over an epoch, relative to 1/B.

    Attributes:
        clean: Examples whose label is known to be right per bin of `WEIGHT_EDGES`.
        corrupted: Examples whose label is known to be wrong per bin.
        unverified: Examples of whose label neither is known per bin; empty where there are none.
    """

    clean: tuple[int, ...]
    corrupted: tuple[int, ...]
    unverified: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StepSeries:
    """Metrics of an epoch's steps, averaged over chunks of equal length; the last one may be shorter.

    Attributes:
        step: Optimiser steps of the whole trial at the end of each chunk.
        train_loss: Mean unweighted loss of the chunk's steps; None if none was evaluated.
        effective_sample_size: Mean over the chunk's steps with at least one positive weight; None if there
            is no such step.
    """

    step: tuple[int, ...]
    train_loss: tuple[float | None, ...]
    effective_sample_size: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """Numbers of examples of a set by true and predicted class.

    Attributes:
        class_names: Name of each class.
        counts: Numbers of examples, a row per true class, a column per predicted class.
    """

    class_names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ExampleOutcomes:
    """Which examples of a test set a trial got right, or by how much it missed their targets.

    Attributes:
        class_counts: Numbers of examples by true class; empty for a regression.
        correct: A bit per example, 1 where its class was predicted, as `numpy.packbits` packs them. Examples
            are in order of their true class, those of a class by their row in the source. Empty for a
            regression.
        errors: Predicted minus true target per example in the target's unit, little-endian float32, by
            their row in the source; empty for classes.
    """

    class_counts: tuple[int, ...] = ()
    correct: bytes = b""
    errors: bytes = b""


@dataclass(frozen=True, slots=True)
class KnownNoise:
    """How labels, or targets, that were given differ from verified ones, where both are there.

    Attributes:
        examples: Number of examples of the source with both.
        wrong: How many of them were given another label, or target, than the verified one.
        confusion: Them by verified and given class; None for a regression.
        rmse: Root of the mean squared difference of targets, in their unit; None for classes.
        train_examples: Number of train examples of which it is known whether their label is right, after
            noise that was added.
        train_wrong: How many of these have a wrong one.
    """

    examples: int
    wrong: int
    confusion: ConfusionMatrix | None = None
    rmse: float | None = None
    train_examples: int = 0
    train_wrong: int = 0


@dataclass(frozen=True, slots=True)
class EpochCompleted:
    """An evaluation on the validation set is done, after each epoch unless the trial says otherwise.

    Attributes:
        trial_id: Fingerprint of the trial.
        epoch: Epochs trained so far: 1 after the first, a fraction within one.
        step: Steps so far, a batch each.
        duration_s: Wall time since the evaluation before, this one included.
        metrics: `train_loss`, the mean unweighted loss of the examples trained on; `validation_*`, for
            regression in the unit of the target, except the loss; for methods with weights
            `weighted_train_loss` (mean over the steps that updated), `mean_weight` (relative to 1/B),
            `effective_sample_size` (examples), `zero_weight_fraction`, `corrupted_weight_share`,
            `corrupted_auroc`, `skipped_fraction` (of the epoch's steps), `skipped_steps` (of the whole
            trial) and `direction_cosine` (of successive directions); where an estimator of scores is checked,
            `certificate_error` and `certificates` (of the whole trial); where it changes, `learning_rate` (of
            the last step); in float16, `loss_scale` (after the last step); and metrics that a method
            reports, such as `dropped_fraction`.
        weights: Histogram of the examples' weights; None for a method or an epoch without weights.
        series: Metrics of the steps.
        estimator_used: Estimator that computed the latest scores of the trial; None for a method without.
    """

    trial_id: str
    epoch: float
    step: int
    duration_s: float
    metrics: Mapping[str, float]
    weights: WeightHistogram | None = None
    series: StepSeries | None = None
    estimator_used: str | None = None


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """Data and model are ready, and training is about to start.

    Attributes:
        trial_id: Fingerprint of the trial.
        attempt: Number of the attempt, from 1; a trial has several if the infrastructure lost some.
        world_size: Number of data-parallel workers.
        device: Device type of the model (`cpu`, `cuda`).
        hardware: Model and number of the processors or accelerators, as text.
        train_examples: Size of the train set after the protocols; None where the trial does not say.
        epochs: Epochs the trial will train, a fraction where the last one is partial; 0 where that is not
            known.
        split_hashes: SHA-256 over the row indices of each of train, meta, validation and test.
        class_counts: Number of train examples by class name, by their given labels.
        history: Epochs of earlier attempts that training resumes from; they are not emitted again.
        elapsed_s: Wall time of the epochs in `history`.
        split_sizes: Sizes of the train, meta, validation and test sets.
        known_noise: How given labels differ from verified ones; None where none were given apart from them.
    """

    trial_id: str
    attempt: int
    world_size: int
    device: str
    hardware: str
    train_examples: int | None
    epochs: float
    split_hashes: Mapping[str, str]
    class_counts: Mapping[str, int]
    history: tuple[EpochCompleted, ...] = ()
    elapsed_s: float = 0.0
    split_sizes: Mapping[str, int] = field(default_factory=dict)
    known_noise: KnownNoise | None = None


@dataclass(frozen=True, slots=True)
class AttemptLost:
    """An attempt was lost to the infrastructure; the trial is retried from its last checkpoint.

    Attributes:
        trial_id: Fingerprint of the trial.
        attempt: Number of the lost attempt, from 1.
        reason: Why it was lost, as text.
    """

    trial_id: str
    attempt: int
    reason: str


CHECKPOINT_WARNING = "checkpoint"
"""Prefix of warnings about checkpoint files, as opposed to the method's behaviour."""


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """The last event of a trial, however it ended.

    Attributes:
        trial_id: Fingerprint of the trial.
        status: How it ended.
        epochs: Epochs trained, a fraction where the last one is partial.
        steps: Steps taken, a batch each.
        duration_s: Wall time of training, evaluation and measurement over all attempts.
        metrics: Final metrics, named as the ledger's columns.
        error: `ExceptionType: message` of a failed or diverged trial, the reason of a stopped one.
        traceback: Full traceback of a failed trial.
        warnings: Signs that the method did not work as intended, with remedies; and checkpoints that could
            not be written or used.
        confusion: Confusion matrix of the test set; None for regression.
        outcomes: Outcome of each test example; None where the set is too large, or it is not known.
    """

    trial_id: str
    status: TrialStatus
    epochs: float
    steps: int
    duration_s: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    traceback: str | None = None
    warnings: tuple[str, ...] = ()
    confusion: ConfusionMatrix | None = None
    outcomes: ExampleOutcomes | None = None


Event = TrialStarted | EpochCompleted | AttemptLost | TrialEnded
Emit = Callable[[Event], Verdict]
"""Emits an event of a trial and returns whether training continues."""
Observer = Callable[[Event], None]
"""Receives the events of all trials."""


def without_arrays(event: Event) -> Event:
    """Return the event without its arrays, which saves memory when events of many trials are kept."""
    match event:
        case EpochCompleted():
            return _metrics_only(event)
        case TrialStarted():
            history = tuple(_metrics_only(epoch) for epoch in event.history)
            return replace(event, history=history, known_noise=None)
        case TrialEnded():
            return replace(event, confusion=None, outcomes=None)
        case AttemptLost():
            return event


def _metrics_only(epoch: EpochCompleted) -> EpochCompleted:
    return replace(epoch, weights=None, series=None)
