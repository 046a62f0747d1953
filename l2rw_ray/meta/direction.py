"""The direction D that examples are held against, and where a step gets it from.

Shape suffixes: B train batch of this rank, M its meta batch.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from l2rw_ray.meta.evaluation.batches import Batch, batch_size
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.generators import GeneratorState
from l2rw_ray.meta.evaluation.losses import Parameters, trainable, trained_parameters, untouched_gradients
from l2rw_ray.meta.evaluation.precision import without_autocast
from l2rw_ray.meta.lookahead import Lookahead, ZeroLookahead
from l2rw_ray.meta.outer_sum import OuterSum, Part, formed, inner_product, length

Epsilon = Tensor | Callable[[Tensor], Tensor]
"""Weights ε0 [B] of this rank's examples, or what makes them of its losses [B], detached."""


@dataclass(frozen=True)
class Direction:
    """D = −(∂θ̂/∂g)ᵀ ∇L_meta(θ̂), by which the score of example i is ⟨D, ∇ℓ_i⟩.

    Attributes:
        parts: Its part for each parameter, by name; some may be held as the vectors they are made of.
        meta_loss: Mean meta loss at θ̂ over all ranks, a detached scalar.
    """

    parts: Mapping[str, Part]
    meta_loss: Tensor

    @property
    def values(self) -> dict[str, Tensor]:
        """Tensors by the names of the parameters."""
        with self._exactly():
            return {name: formed(part) for name, part in self.parts.items()}

    @cached_property
    def norm(self) -> Tensor:
        """Its Euclidean length, a scalar."""
        with self._exactly():
            return length(self.parts.values())

    def matches(self, other: Mapping[str, torch.Size]) -> bool:
        """Return whether it is for parameters of these names and shapes."""
        return {name: part.shape for name, part in self.parts.items()} == dict(other)

    def cosine(self, other: "Direction") -> Tensor:
        """Compute the cosine of the angle to another direction for the same parameters; 0 where one is zero.

        See `matches`.
        """
        smallest = torch.finfo(self.norm.dtype).tiny
        with self._exactly():
            return inner_product(self.parts, other.parts) / (self.norm * other.norm).clamp_min(smallest)

    def inner(self, gradient: Mapping[str, Part]) -> Tensor:
        """Compute the inner product with a gradient of the same parameters, a scalar."""
        with self._exactly():
            return inner_product(self.parts, gradient)

    def _exactly(self) -> AbstractContextManager[object]:
        """Return a context without the caller's autocast, which would round the products of vectors."""
        return without_autocast(self.meta_loss.device.type)

    def state(self) -> dict[str, Any]:
        """Return the tensors in plain containers, of which `of_state` makes it again."""
        parts = {
            name: part if isinstance(part, Tensor) else (part.outputs_MO, part.inputs_MI)
            for name, part in self.parts.items()
        }
        return {"parts": parts, "meta_loss": self.meta_loss}

    @classmethod
    def of_state(cls, state: dict[str, Any], device: torch.device) -> Self:
        """Make the direction whose `state` it was."""
        parts = {
            name: part.to(device) if isinstance(part, Tensor) else OuterSum(*(v.to(device) for v in part))
            for name, part in state["parts"].items()
        }
        return cls(parts, state["meta_loss"].to(device))


class DirectionSource:
    """Gives an estimator the direction of one step, by whichever way is cheapest for it.

    An estimator either asks for it (`get`), which costs a pass over the meta batch, or takes the
    meta batch into its own pass (`shared_batch`) and hands in the gradient (`accept`).

    Args:
        forward: Evaluates losses.
        train_batch: This rank's train batch; looked at when ε0 is not zero.
        meta_batch: This rank's share of the meta batch.
        lookahead: Where the meta loss is evaluated.
        epsilon: The point ε0 at which weights are differentiated; None for zero.
        earlier: A direction of an earlier step, to be used again.
        phase: Makes what is entered around a pass of its own.
        generators: From where all passes draw; None for where the generators stand.

    Attributes:
        direction: D once it is known.
        generators: From where all passes draw.
        is_plain: Whether all of it came from plain autograd, and no part from an estimator.
    """

    def __init__(
        self,
        forward: Forward,
        train_batch: Batch,
        meta_batch: Batch,
        lookahead: Lookahead | None = None,
        epsilon: Epsilon | None = None,
        earlier: Direction | None = None,
        phase: Callable[[], AbstractContextManager[None]] = nullcontext,
        generators: GeneratorState | None = None,
    ) -> None:
        self.lookahead: Lookahead = lookahead or ZeroLookahead()
        self.meta_batch = meta_batch
        self._forward, self._train_batch = forward, train_batch
        self._epsilon, self._phase = epsilon, phase
        self.generators = generators or forward.generators(train_batch)
        self._data_gradient: dict[str, Tensor] | None = None
        self.direction = self._earlier = earlier
        self.is_plain = True

    @property
    def can_share(self) -> bool:
        """Whether D is the meta gradient at θ and has not been computed yet, so that a pass may find it."""
        return self.direction is None and not self.moves

    @property
    def moves(self) -> bool:
        """Whether the meta loss is evaluated at other parameters than the network's own."""
        return self.lookahead.moves or self._epsilon is not None

    def recomputed_by(self, forward: Forward) -> "DirectionSource":
        """Return a source of the same direction that is computed anew, through another `Forward`.

        A direction of an earlier step stays what it was.
        """
        return DirectionSource(
            forward,
            self._train_batch,
            self.meta_batch,
            self.lookahead,
            self._epsilon,
            self._earlier,
            generators=self.generators,
        )

    def forget(self) -> None:
        """Drop the direction that a refused estimator found."""
        self.direction, self._data_gradient, self.is_plain = self._earlier, None, True

    def accept(self, gradient_sum: dict[str, Part], loss_sum: Tensor) -> Direction:
        """Make the direction from the gradient of this rank's summed meta loss at θ; one all-reduce.

        Args:
            gradient_sum: By parameter name; it is used up.
            loss_sum: The summed meta loss.
        """
        self.is_plain = False
        return self._accept(gradient_sum, loss_sum)

    def _accept(self, gradient_sum: dict[str, Part], loss_sum: Tensor) -> Direction:
        count = batch_size(self.meta_batch)
        self.direction = Direction(*self._forward.replicas.mean_gradient(gradient_sum, loss_sum, count))
        return self.direction

    def get(self, names: Collection[str] | None = None) -> Direction:
        """Return the direction, computed unless it is known; one all-reduce, and one more for ε0.

        Args:
            names: Parameters to compute it for; None for all trainable ones.
        """
        if self.direction is None:
            with self._phase():
                self.direction = self._compute(names)
        return self.direction

    def epsilon_at(self, losses_B: Tensor) -> Tensor | None:
        """Return ε0 [B] of this rank's examples, given their losses; None for zero."""
        if self._epsilon is None:
            return None
        made = self._epsilon if isinstance(self._epsilon, Tensor) else self._epsilon(losses_B.detach())
        return made.to(losses_B)

    @property
    def wants_data_gradient(self) -> bool:
        """Whether an estimator that has Σ ε0_i ∇ℓ_i at hand saves a pass by handing it in."""
        return self.direction is None and self._epsilon is not None

    def accept_data_gradient(self, gradient: dict[str, Tensor]) -> None:
        """Take this rank's Σ ε0_i ∇ℓ_i, by parameter name; one all-reduce."""
        self.is_plain = False
        self._data_gradient = self._forward.replicas.sum_all(gradient)

    def data_gradient(self) -> dict[str, Tensor]:
        """Return g0 = Σ ε0_i ∇ℓ_i over all ranks, zero where ε0 is; no graph."""
        if self._data_gradient is not None:
            return self._data_gradient
        parameters = trained_parameters(self._forward.module)
        if self._epsilon is None:
            return {name: torch.zeros_like(value) for name, value in parameters.items()}

        def epsilon_at(losses_B: Tensor) -> Tensor:
            found = self.epsilon_at(losses_B)
            assert found is not None
            return found

        with self._at_own_parameters():
            gradient, _ = self._forward.gradient(
                self._train_batch, parameters, epsilon_at, replay=self.generators
            )
        return self._forward.replicas.sum_all(gradient)

    def _compute(self, names: Collection[str] | None) -> Direction:
        if not self.moves:
            with self._at_own_parameters():
                return self._meta_gradient(trained_parameters(self._forward.module), names)
        start, gradient = trainable(self._forward.module), self.data_gradient()
        with torch.no_grad():
            stepped = self.lookahead.stepped(start, gradient)
        point = {name: value.requires_grad_() for name, value in stepped.items()}
        found = self._meta_gradient(point, names)
        return replace(found, parts=self.lookahead.pull_back(start, gradient, found.values))

    def _meta_gradient(self, point: Parameters, names: Collection[str] | None) -> Direction:
        """Compute the mean meta gradient at some parameters."""
        gradient_sum, losses_M = self._forward.gradient(
            self.meta_batch, point, names=names, replay=self.generators
        )
        parts: dict[str, Part] = {**gradient_sum}
        del gradient_sum
        return self._accept(parts, losses_M.sum())

    @contextmanager
    def _at_own_parameters(self) -> Iterator[None]:
        """Differentiate by the network's own parameters, inside the block.

        At θ no copies stand in their places: a copy has no hooks, and a forward that holds a reference to
        the parameter itself does not see it.
        """
        torch.clear_autocast_cache()  # a copy made without gradients would keep them from the parameters
        with untouched_gradients(self._forward.module):
            yield
