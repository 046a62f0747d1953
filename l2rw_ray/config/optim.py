"""The `optim` section: optimiser, batches and length of the training."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from l2rw_ray.config.schedule import CONSTANT, Schedule
from l2rw_ray.config.section import Section, conflict


class _Optim(Section):
    batch_size: int = Field(default=64, ge=1)
    """Examples per step over all workers together."""
    epochs: int = Field(default=10, ge=1)
    """Passes over the train set."""
    lr: float = Field(gt=0)
    """Learning rate: the largest one, which `schedule` starts from or rises to."""
    schedule: Schedule = CONSTANT
    """How the learning rate changes."""
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 penalty added to the gradient; in adamw, decay of the parameters."""
    accumulation_steps: int = Field(default=1, ge=1)
    """Batches per optimiser step; their gradients are averaged."""
    max_grad_norm: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient; larger ones are scaled down. Null for no limit."""


class SgdConfig(_Optim):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Momentum, from 0 to below 1."""
    dampening: float = Field(default=0.0, ge=0, le=1)
    """Share of a new gradient that the momentum leaves out."""
    nesterov: bool = False
    """Whether the momentum looks ahead."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and (not self.momentum or self.dampening):
            raise conflict("nesterov", True, "it wants momentum and no dampening", "set momentum: 0.9")
        return self


class AdamConfig(_Optim):
    """Adam with torch's defaults for its moments."""

    name: Literal["adam"]


class AdamWConfig(_Optim):
    """Adam whose weight decay acts on the parameters, not on the gradient."""

    name: Literal["adamw"]


Optim = Annotated[SgdConfig | AdamConfig | AdamWConfig, Field(discriminator="name")]
