"""What every method is given, and what it gives back for each step.

Shape suffixes: B train batch of this rank, M meta set.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn
from torch.optim import Optimizer

from l2rw_ray.data import Batch, ExampleSet, MetaSampler
from l2rw_ray.meta import LossFunction
from l2rw_ray.meta.step import Timer


@dataclass(frozen=True)
class TrainingContext:
    """The state one trial trains with.

    Attributes:
        model: Network, wrapped in DistributedDataParallel when there are several ranks.
        optimizer: Its optimiser.
        loss_fn: Maps (output, target) to one loss per example: what evaluations report as `loss`.
        meta: Sampler over the clean meta set; the set itself is its `examples`.
        train: The train set.
        classes: Number of classes; of a regression that of the strata which sets are drawn by.
        epochs: Epochs of the whole trial, all stages of a method together.
        batch_size: Examples per step on all ranks together.
        seed: The trial's seed.
        restart: Puts model and optimiser back to where the trial began, on all ranks, in place.
        rank: This process among the trial's workers.
        world_size: Number of the trial's workers.
        timer: Measures the phases of a step by name; None measures nothing.
        update_options: `accumulation_steps` and `max_grad_norm` of every method's updates.
    """

    model: nn.Module
    optimizer: Optimizer
    loss_fn: LossFunction
    meta: MetaSampler
    train: ExampleSet
    classes: int
    epochs: int
    batch_size: int
    seed: int
    restart: Callable[[], None]
    rank: int = 0
    world_size: int = 1
    timer: Timer | None = None
    update_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def train_size(self) -> int:
        """Examples in the train set."""
        return len(self.train)


@dataclass(frozen=True)
class Epoch:
    """What an epoch goes through.

    Attributes:
        examples: The set whose examples are stepped on; None for the train set.
        order: Positions in that set in the order they come in, int64 [K], any of them more than once;
            None for each once, in the order that all methods share. Equal on all ranks.
        metrics: What the method reports of this epoch, by name.
        figures: Former name of `metrics`, which warns.
    """

    examples: ExampleSet | None = None
    order: Tensor | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    figures: InitVar[Mapping[str, float] | None] = None

    def __post_init__(self, figures: Mapping[str, float] | None) -> None:
        if figures is not None:
            message = "Epoch(figures=...) is now Epoch(metrics=...)"
            warnings.warn(message, DeprecationWarning, stacklevel=3)
            object.__setattr__(self, "metrics", figures)


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


class Method(Protocol):
    """One method during one trial."""

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


@runtime_checkable
class StagedMethod(Method, Protocol):
    """A method that decides what its epochs go through, or that has stages."""

    def begin_epoch(self, epoch: int) -> Epoch:
        """Prepare for an epoch; all ranks call this together before its first step.

        A resumed trial calls it again for the epoch it goes on with, after `load_state_dict`. Steps of the
        overhead probe come without it.

        Args:
            epoch: Passes before this one.
        """


MethodFactory = Callable[..., Method]
"""Takes the trial's `method` section and its context; one of the user's own takes the context and its
options, by keyword."""
