"""How long a trial trains, and how often it is evaluated."""

import math
from typing import Any, Self

from pydantic import Field, model_validator

from l2rw_ray.config.section import Section, conflict


class EvaluateEvery(Section):
    """Interval between two evaluations on the validation set, in epochs or in steps."""

    epochs: int | None = Field(default=None, ge=1)
    """Epochs."""
    steps: int | None = Field(default=None, ge=1)
    """Steps, within epochs and across their ends. A step is a batch; with `optim.accumulation_steps` an
    evaluation waits for the optimiser's next step."""

    @model_validator(mode="after")
    def _has_one_unit(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            problem = "an interval has one unit" if self.steps else "no interval is given"
            given = f"{self.epochs} epochs and {self.steps} steps" if self.steps else None
            raise conflict("", given, problem, "use {epochs: 1}, or {steps: 200}")
        return self


EVERY_EPOCH = EvaluateEvery(epochs=1)
"""After each epoch."""


def updates_in(steps: int, per_epoch: int, accumulation_steps: int) -> int:
    """Return the number of optimiser steps; the last of an epoch takes the batches that are left.

    Args:
        steps: Batches of the training.
        per_epoch: Batches of an epoch.
        accumulation_steps: Batches per optimiser step.
    """
    epochs, rest = divmod(steps, max(per_epoch, 1))
    return epochs * math.ceil(per_epoch / accumulation_steps) + math.ceil(rest / accumulation_steps)


class Length(Section):
    """The length of a training, in epochs or in steps."""

    epochs: int | None = Field(default=10, ge=1)
    """Passes over the train set; null where `steps` says how long."""
    steps: int | None = Field(default=None, ge=1)
    """Steps in place of `epochs`, the last epoch perhaps in part. A step is a batch; with
    `accumulation_steps` an optimiser step takes several. Fields of a method in epochs count whole and partial
    ones."""

    @model_validator(mode="before")
    @classmethod
    def _steps_replace_the_default(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("steps") is not None and "epochs" not in given:
            return {**given, "epochs": None}
        return given

    @model_validator(mode="after")
    def _has_one_unit(self) -> Self:
        if self.epochs is None and self.steps is None:
            raise conflict("epochs", None, "nothing says how long to train", "give epochs, or steps")
        if self.epochs is not None and self.steps is not None:
            problem = f"optim.epochs: {self.epochs} says it too"
            raise conflict("steps", self.steps, problem, "leave one of them out, or set it to null")
        return self
