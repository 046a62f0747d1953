"""The `optim.schedule` section: how the learning rate changes during training."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from l2rw_ray.config.section import Misfit, Section, conflict


class _WithWarmup(Section):
    unit: Literal["epochs", "steps"] = "epochs"
    """Unit of lengths: epochs, or optimiser steps. The rate changes at every optimiser step in either."""
    warmup: int = Field(default=0, ge=0)
    """Length of the linear warm-up that comes first, in `unit`; 0 for none. Each stage that starts from
    fresh parameters warms up."""
    warmup_start: float = Field(default=0.01, gt=0, lt=1)
    """Rate of the first warm-up step, as a fraction of `optim.lr`."""


class ConstantSchedule(_WithWarmup):
    """Stays at `optim.lr`."""

    name: Literal["constant"]


class StepSchedule(_WithWarmup):
    """Multiplies the rate by a factor at regular intervals."""

    name: Literal["step"]
    every: int = Field(ge=1)
    """Interval, in `unit`, counted from the start of the stage, warm-up included."""
    factor: float = Field(default=0.1, gt=0, lt=1)
    """Factor on the rate after each interval."""


class MultiStepSchedule(_WithWarmup):
    """Multiplies the rate by a factor at each milestone."""

    name: Literal["multi_step"]
    milestones: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    """When the rate changes, in `unit`, increasing, counted from the start of the stage, warm-up included."""
    factor: float = Field(default=0.1, gt=0, lt=1)
    """Factor on the rate at each milestone."""

    @model_validator(mode="after")
    def _milestones_increase(self) -> Self:
        if any(later <= earlier for earlier, later in pairwise(self.milestones)):
            problem, remedy = "milestones increase", "sort them, each once"
            raise conflict("milestones", list(self.milestones), problem, remedy)
        return self


class CosineSchedule(_WithWarmup):
    """Falls along half a cosine until the end of the stage, Loshchilov & Hutter 2017 without restarts."""

    name: Literal["cosine"]
    final_factor: float = Field(default=0.0, ge=0, lt=1)
    """Rate at the end, as a fraction of `optim.lr`."""


class LinearSchedule(_WithWarmup):
    """Falls linearly until the end of the stage."""

    name: Literal["linear"]
    final_factor: float = Field(default=0.0, ge=0, lt=1)
    """Rate at the end, as a fraction of `optim.lr`."""


class PolynomialSchedule(_WithWarmup):
    """Falls to 0 at the end of the stage as a power of the share of steps that remain."""

    name: Literal["polynomial"]
    power: float = Field(default=2.0, gt=0)
    """Exponent; 1 is linear."""


class OneCycleSchedule(Section):
    """Rises to `optim.lr` and falls below where it started, Smith & Topin 2018; its rise is its warm-up.

    The momentum stays constant.
    """

    name: Literal["one_cycle"]
    rise: float = Field(default=0.3, gt=0, lt=1)
    """Share of the stage's steps in which the rate rises."""
    anneal: Literal["cosine", "linear"] = "cosine"
    """Form of the rise and the fall."""
    initial_factor: float = Field(default=0.04, gt=0, lt=1)
    """Rate at the start, as a fraction of `optim.lr`."""
    final_factor: float = Field(default=4e-6, gt=0, lt=1)
    """Rate of the last step, as a fraction of `optim.lr`."""


Schedule = Annotated[
    ConstantSchedule
    | StepSchedule
    | MultiStepSchedule
    | CosineSchedule
    | LinearSchedule
    | PolynomialSchedule
    | OneCycleSchedule,
    Field(discriminator="name"),
]

CONSTANT = ConstantSchedule(name="constant")
"""The rate stays as it is."""


class ScheduleRoom(NamedTuple):
    """How long a schedule may be; of what only data tell at most so long, or None.

    Attributes:
        trial: Length of the trial.
        longest: Length of its longest stage; milestones count from the start of one.
        warmed_up: Length of its shortest stage that warms up.
        length: What the study says of the trial's length, for errors.
    """

    trial: int | None
    longest: int | None
    warmed_up: int | None
    length: str


def schedule_misfit(schedule: Schedule, rooms: Mapping[str, ScheduleRoom]) -> Misfit | None:
    """Return the length of a schedule that does not fit into a trial; None where it may fit.

    Args:
        schedule: The schedule.
        rooms: In `epochs` and in optimiser `steps`.
    """
    if isinstance(schedule, OneCycleSchedule):
        return None
    room, unit = rooms[schedule.unit], schedule.unit
    if room.warmed_up is not None and schedule.warmup >= room.warmed_up:
        problem = f"the warm-up is as long as a stage of {room.warmed_up} {unit}"
        remedy = f"use at most {max(room.warmed_up - 1, 0)}, or train longer"
        return Misfit("warmup", schedule.warmup, problem, remedy)
    if room.longest is None:
        return None
    problem = f"the trial ends after {room.length}"
    if room.longest != room.trial:
        problem = f"it counts from the start of a stage, and the longest has {room.longest} {unit}"
    if isinstance(schedule, StepSchedule) and schedule.every >= room.longest:
        return Misfit("every", schedule.every, problem, "use a shorter interval, or train longer")
    if isinstance(schedule, MultiStepSchedule) and schedule.milestones[-1] >= room.longest:
        remedy = "leave later ones out, or train longer"
        return Misfit("milestones", list(schedule.milestones), problem, remedy)
    return None
