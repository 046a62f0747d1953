"""What every arm is given, and what it gives back for each step.

Shape suffixes: B train batch of this rank, M meta set.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from l2rw_ray.data import Batch, MetaSampler
from l2rw_ray.meta import LossFunction
from l2rw_ray.meta.step import Timer


@dataclass(frozen=True)
class TrainingContext:
    """The state one trial trains with.

    Attributes:
        model: Network, wrapped in DistributedDataParallel when there are several ranks.
        optimizer: Its optimiser.
        loss_fn: Maps (output, target) to one loss per example.
        meta: Sampler over the clean meta set.
        train_size: Examples in the train set.
        seed: The trial's seed.
        rank: This process among the trial's workers.
        world_size: Number of the trial's workers.
        timer: Measures the phases of a step by name; None measures nothing.
        update_options: `accumulation_steps` and `max_grad_norm` of every arm's updates.
    """

    model: nn.Module
    optimizer: Optimizer
    loss_fn: LossFunction
    meta: MetaSampler
    train_size: int
    seed: int
    rank: int = 0
    world_size: int = 1
    timer: Timer | None = None
    update_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What one step did.

    Attributes:
        loss: Weighted loss of this rank's share of the batch, a detached scalar; the shares of all
            ranks add up to the loss of the global batch.
        losses_B: Losses of this rank's examples without weights, detached; None where a skipped step
            evaluated none.
        weights_B: Weight of each example of this rank's share; None for a plain step.
        skipped: No example of the global batch had a positive weight and nothing was updated.
        direction_cosine: Cosine of this step's direction with the one before, a scalar; None where
            there are not two.
        has_new_weights: Whether the weights were computed at this step, not held from earlier ones.
    """

    loss: Tensor
    losses_B: Tensor | None
    weights_B: Tensor | None = None
    skipped: bool = False
    direction_cosine: Tensor | None = None
    has_new_weights: bool = True


class Arm(Protocol):
    """One arm during one trial."""

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step.

        Args:
            batch: This rank's share of the global batch.
            number: Steps made before this one in the whole trial.
            epoch: Passes over the train set before this one.
        """

    def state_dict(self) -> dict[str, Any]:
        """Everything a later `load_state_dict` needs to go on exactly; tensors and plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state that `state_dict` returned."""


ArmFactory = Callable[..., Arm]
"""Takes the trial's `method` section and its context; one of the user's own takes the context and its
options, by keyword."""
