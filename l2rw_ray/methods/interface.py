"""The interface of a method: what it is given, and what it returns for each step.

Shape suffixes: B train batch of this rank, M meta set.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn
from torch.optim import Optimizer

from l2rw_ray.data import Batch, ExampleSet, MetaSampler
from l2rw_ray.meta import Certificate, LossFunction
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
        restart: Resets model and optimiser to the start of the trial, on all ranks, in place.
        rank: This process among the trial's workers.
        world_size: Number of the trial's workers.
        timer: Times the phases of a step by name; None times nothing.
        update_options: `accumulation_steps`, `max_grad_norm` and `collate` of every method's updates, and the
            `scaler` of a trial in float16.
        peer: Builds a second network of the same kind from another seed, wrapped as the first, and its
            optimiser; None where there can be none.
        augment: `data.augment` of the trial, for methods that train on the meta set.
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
    peer: Callable[[], tuple[nn.Module, Optimizer]] | None = None
    augment: tuple[str, ...] = ()

    @property
    def train_size(self) -> int:
        """Examples in the train set."""
        return len(self.train)


@dataclass(frozen=True)
class Epoch:
    """The examples that an epoch visits, and what the method reports of them.

    Attributes:
        examples: The set to train on; None for the train set.
        order: Positions in that set, in order, int64 [K], with repetitions allowed; None for each once, in
            the order that all methods share. Equal on all ranks.
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
    """The result of one step.

    Attributes:
        loss: Weighted loss of this rank's share of the batch, a detached scalar; the shares of all
            ranks add up to the loss of the global batch.
        losses_B: Losses of this rank's examples without weights, detached; None where a skipped step
            evaluated none.
        weights_B: Weight of each example of this rank's share; None for a plain step.
        skipped: Whether no example of the global batch had a positive weight, so that nothing was updated.
        direction_cosine: Cosine between this step's direction and the one before, a scalar; None without
            two of them.
        has_new_weights: Whether the weights were computed at this step, not held from an earlier one.
        estimator: Name of the estimator that computed this step's scores; None where there are none.
        certificate: The latest check of that estimator against plain autograd, a new object for each check;
            None before the first.
        scores_B: Scores of this rank's examples, detached; None where this step computed none.
        is_on_batch: Whether the step was made on the batch it was given, not on other examples in its place.
    """

    loss: Tensor
    losses_B: Tensor | None
    weights_B: Tensor | None = None
    skipped: bool = False
    direction_cosine: Tensor | None = None
    has_new_weights: bool = True
    estimator: str | None = None
    certificate: Certificate | None = None
    scores_B: Tensor | None = None
    is_on_batch: bool = True


class Method(Protocol):
    """A method in one trial."""

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step.

        Args:
            batch: This rank's share of the global batch.
            number: Steps made before this one in the whole trial.
            epoch: Passes over the train set before this one.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs to resume exactly: tensors and plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""


@runtime_checkable
class StagedMethod(Method, Protocol):
    """A method that chooses the examples of its epochs, or that has stages."""

    def begin_epoch(self, epoch: int) -> Epoch:
        """Prepare an epoch and return its examples; all ranks call this together before its first step.

        A resumed trial calls it after `load_state_dict`, for the epoch it resumes with. The overhead probe
        makes steps without calling it.

        Args:
            epoch: Passes before this one.
        """


MethodFactory = Callable[..., Method]
"""Builds a method from the trial's `method` section and its context; a custom one from the context and its
options, by keyword."""
