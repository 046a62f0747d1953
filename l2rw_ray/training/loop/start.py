"""The first event of a trial."""

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import Splits
from l2rw_ray.events import EpochCompleted, TrialStarted
from l2rw_ray.measurement import describe_hardware
from l2rw_ray.training.options import TrainingOptions


def start_event(
    trial: PlannedTrial,
    splits: Splits,
    options: TrainingOptions,
    epochs: float,
    history: tuple[EpochCompleted, ...],
    elapsed_s: float,
) -> TrialStarted:
    """Return the event of a trial that is about to train.

    Args:
        trial: The trial.
        splits: Its data.
        options: How it is run.
        epochs: Its length.
        history: Evaluations of earlier attempts that it resumes from.
        elapsed_s: Wall time of these.
    """
    counts_C = splits.train.labels.bincount(minlength=len(splits.class_names)).tolist()
    return TrialStarted(
        trial_id=trial.trial_id,
        attempt=options.attempt,
        world_size=options.ranks.world_size,
        device=options.device.type,
        hardware=describe_hardware(options.device),
        train_examples=len(splits.train),
        epochs=epochs,
        split_hashes=splits.hashes,
        class_counts=dict(zip(splits.class_names, counts_C, strict=True)),
        history=history,
        elapsed_s=elapsed_s,
        split_sizes={name: len(getattr(splits, name)) for name in splits.hashes},
        known_noise=splits.known_noise,
    )
