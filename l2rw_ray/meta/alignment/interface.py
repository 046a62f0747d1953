"""The interface of every estimator of the alignment ⟨D, ∇ℓ_i⟩.

Shape suffixes: B train batch of this rank.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.evaluation.batches import Batch
from l2rw_ray.meta.evaluation.forward import Forward, backward_weighted

REMEDY = "use estimator='auto'"
"""What helps where an estimator refuses: `auto` ends with one that refuses nothing."""


class ScoredBatch(Protocol):
    """A train batch that has been evaluated and scored, and can be stepped on without another forward."""

    @property
    def losses(self) -> Tensor:
        """Losses [B], detached."""

    @property
    def scores(self) -> Tensor:
        """Alignments ⟨D, ∇ℓ_i⟩ [B], detached."""

    def gradient(self, weights_B: Tensor) -> dict[str, Tensor] | None:
        """Compute Σ w_i ∇ℓ_i by parameter name, on this rank; None where autograd does it in `backward`."""

    def backward(self, weights_B: Tensor, *, synchronise: bool = True) -> None:
        """Add the gradient of Σ w_i ℓ_i to the parameters' own, averaged over ranks as by DDP.

        Args:
            weights_B: Weights of this rank's examples.
            synchronise: Whether the ranks' gradients meet now, or at a later call. The forward must
                have been made under `no_sync` when they do not.
        """


def row_layout_of(scored: ScoredBatch) -> Hashable:
    """Return where an estimator took tensors to have rows of examples; None for those that need not know.

    A layout that no check has seen may be wrong: a table of 12 rows is taken for the data of 12 examples.
    """
    return getattr(scored, "row_layout", None)


class Estimator(Protocol):
    """One way of computing how each example's gradient aligns with a direction.

    One that needs only this rank's shards of parameters, and not the whole of them, says so by a class
    attribute `treats_shards = True`; the others are refused where `fully_shard` was called.
    """

    def check(self, module: nn.Module) -> None:
        """Check that the estimator supports a network.

        Raises:
            UnsupportedModelError: It does not; the message names the module and what to use instead.
        """

    def score(self, forward: Forward, batch: Batch, source: DirectionSource) -> ScoredBatch:
        """Evaluate and score a train batch.

        Args:
            forward: Evaluates losses; its training forward is made exactly once.
            batch: Inputs and targets, [B].
            source: Gives the direction.

        Raises:
            UnsupportedModelError: As for `check`, detected during scoring and before anything is written.
        """


@dataclass(frozen=True)
class GraphScoredBatch:
    """A scored batch whose training forward left a graph to go back through.

    Attributes:
        graph: Losses [B] with their graph.
        scores: Alignments [B], detached.
        world_size: Number of ranks.
    """

    graph: Tensor
    scores: Tensor
    world_size: int

    @property
    def losses(self) -> Tensor:
        """Losses [B], detached."""
        return self.graph.detach()

    def gradient(self, weights_B: Tensor) -> None:
        """Return None: the graph is that of an ordinary forward."""

    def backward(self, weights_B: Tensor, *, synchronise: bool = True) -> None:
        """Add the weighted gradient through the graph; whether ranks meet was decided by the forward."""
        backward_weighted(self.graph, weights_B, self.world_size)


def check_not_compiled(forward: Forward, estimator: str) -> None:
    """Check that the training forward is not compiled, for an estimator that must look inside it.

    Args:
        forward: Evaluates losses.
        estimator: The estimator's name.

    Raises:
        UnsupportedModelError: The model is compiled.
    """
    if forward.replicas.is_compiled:
        problem = "it cannot look inside a compiled model"
        raise UnsupportedModelError("estimator", estimator, problem, "use 'ghost' or 'finite_difference'")
