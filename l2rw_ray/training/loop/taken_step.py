"""A step that a trial has made."""

from dataclasses import dataclass

from l2rw_ray.data import Batch
from l2rw_ray.methods import StepOutcome


@dataclass(frozen=True, slots=True)
class TakenStep:
    """A step that a trial has made.

    Attributes:
        batch: This rank's share of the batch.
        outcome: Result of the step.
        is_train: Whether the batch is of the train set.
    """

    batch: Batch
    outcome: StepOutcome
    is_train: bool
