"""The length of a trial in steps and epochs, and where it stands."""

import math
from dataclasses import dataclass

from l2rw_ray.config import TrialConfig
from l2rw_ray.config.method.section import Stage
from l2rw_ray.config.method.stages import stages_misfit
from l2rw_ray.config.training.length import EvaluateEvery, updates_in
from l2rw_ray.data import steps_per_epoch
from l2rw_ray.errors import ConfigError


@dataclass
class Position:
    """Where a trial stands.

    Attributes:
        epoch: Epochs completed.
        step_in_epoch: Steps of the epoch under way.
        steps_in_epoch: Steps that it has in all.
        step: Steps so far.
        skipped: How many of them updated nothing.
        is_updated: Whether no accumulated gradient is pending.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    steps_in_epoch: int = 1
    step: int = 0
    skipped: int = 0
    is_updated: bool = True

    @property
    def epochs(self) -> float:
        """Epochs so far: a whole number at the end of one."""
        return self.epoch + self.step_in_epoch / self.steps_in_epoch if self.step_in_epoch else self.epoch


@dataclass(frozen=True)
class TrialLength:
    """The length of a trial, and when it is evaluated.

    Attributes:
        epochs: Epochs, the last one perhaps in part.
        steps: Steps; None where epochs say how long, which a method may make shorter.
        epoch_steps: Steps of an epoch that visits the whole train set.
        accumulation_steps: Batches per optimiser step.
        every: Interval between evaluations.
    """

    epochs: int
    steps: int | None
    epoch_steps: int
    accumulation_steps: int
    every: EvaluateEvery

    @classmethod
    def of(cls, config: TrialConfig, train_size: int, world_size: int) -> "TrialLength":
        """Return the length of a trial on its data.

        Raises:
            ConfigError: The stages of its method leave no epoch for the last one.
        """
        optim = config.optim
        per_epoch = steps_per_epoch(train_size, optim.batch_size, world_size)
        epochs = optim.epochs or math.ceil((optim.steps or 1) / max(per_epoch, 1))
        misfit = stages_misfit(config.method, epochs)
        if misfit is not None:
            raise ConfigError(f"trial.{misfit.field}", *misfit[1:])
        return cls(epochs, optim.steps, per_epoch, optim.accumulation_steps, config.evaluate_every)

    @property
    def exact_epochs(self) -> float:
        """Epochs, as a fraction where the last one is partial."""
        partial = 0 if self.steps is None else self.steps % self.epoch_steps
        return self.epochs - 1 + partial / self.epoch_steps if partial else self.epochs

    @property
    def updates_per_epoch(self) -> int:
        """Optimiser steps of a whole epoch."""
        return self._updates_in(self.epoch_steps)

    @property
    def updates_left_out(self) -> int:
        """Optimiser steps that the last epoch lacks."""
        partial = 0 if self.steps is None else self.steps % self.epoch_steps
        return self.updates_per_epoch - self._updates_in(partial) if partial else 0

    def _updates_in(self, steps: int) -> int:
        return updates_in(steps, self.epoch_steps, self.accumulation_steps)

    @property
    def evaluations(self) -> int:
        """About how many evaluations the trial has."""
        steps = self.steps or self.epochs * self.epoch_steps
        interval = self.every.steps or (self.every.epochs or 1) * self.epoch_steps
        return max(math.ceil(steps / max(interval, 1)), 1)

    @property
    def stays_in_epochs(self) -> bool:
        """Whether it is evaluated, and ends, at ends of epochs alone."""
        return self.steps is None and self.every.steps is None

    def is_over(self, at: Position) -> bool:
        """Return whether all has been trained."""
        return at.epoch >= self.epochs if self.steps is None else at.step >= self.steps

    def end_of_epoch(self, at: Position) -> int:
        """Return after how many steps the epoch under way ends, which the end of the trial may cut off."""
        if self.steps is None:
            return at.steps_in_epoch
        return min(at.steps_in_epoch, at.step_in_epoch + self.steps - at.step)

    def is_due(self, at: Position, evaluated: int) -> bool:
        """Return whether the trial is to be evaluated now.

        Args:
            at: Where it stands.
            evaluated: Steps before the last evaluation.
        """
        if self.is_over(at):
            return True
        if self.every.steps is not None:
            return at.is_updated and at.step // self.every.steps > evaluated // self.every.steps
        return at.step_in_epoch == 0 and at.epoch % (self.every.epochs or 1) == 0


def stages_of(config: TrialConfig, length: TrialLength) -> tuple[Stage, ...]:
    """Return the stages of a trial's method."""
    return config.method.stages(length.epochs)
