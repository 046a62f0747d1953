"""Evaluating the model: the training forward, and probes that leave no trace."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from l2rw_ray.errors import InputError, L2RWError
from l2rw_ray.meta.evaluation.batches import Batch, Collate, batch_device, batch_size, joined
from l2rw_ray.meta.evaluation.generators import GeneratorState, LibraryGenerators, untouched_generators
from l2rw_ray.meta.evaluation.losses import (
    Losses,
    Parameters,
    copied_buffers,
    example_losses,
    graph_nodes,
    may_join,
    trained_parameters,
)
from l2rw_ray.meta.replicas import Replicas


class Forward:
    """Evaluates losses per example for an estimator.

    Args:
        replicas: The ranks that share the model.
        losses: Maps (model, batch) to one loss per example.
        dry: Whether even the training forward must leave no trace: no step follows it.
        collate: Joins batches that differ in shape; None where only like batches are joined.

    Attributes:
        writes_buffers: Whether a probe has tried to write a buffer of the network.
    """

    def __init__(
        self, replicas: Replicas, losses: Losses, *, dry: bool = False, collate: Collate | None = None
    ) -> None:
        self.replicas, self.losses, self.dry, self._collate = replicas, losses, dry, collate
        self.writes_buffers = False

    @property
    def module(self) -> nn.Module:
        """The network itself."""
        return self.replicas.module

    def as_dry(self) -> "Forward":
        """Return the same evaluation without a trace."""
        return Forward(self.replicas, self.losses, dry=True, collate=self._collate)

    def uncompiled(self) -> "Forward":
        """Return the same evaluation without torch.compile's wrapper."""
        return Forward(self.replicas.uncompiled(), self.losses, dry=self.dry, collate=self._collate)

    def alone(self) -> "Forward":
        """Return the same evaluation by the network of this rank, without its wrappers."""
        return Forward(self.replicas.alone(), self.losses, dry=self.dry, collate=self._collate)

    def joined(self, train: Batch, meta: Batch) -> Batch | None:
        """Return both batches as one, the train rows first; None where they do not fit or must not be joined.

        Losses that are a function of a model and a batch see all that is joined, and may look at their batch
        as a whole: they are not given two as one unless the user says how, by `collate`.
        """
        if self._collate is None:
            return joined(train, meta) if may_join(self.losses) else None
        try:
            both = self._collate(train, meta)
            found, wanted = batch_size(both), batch_size(train) + batch_size(meta)
        except (L2RWError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever the user's function does
            problem = f"it fails on the train and the meta batch ({type(error).__name__}: {error})"
            remedy = "let it return both as one batch, padded to one shape"
            raise InputError("collate", type(self._collate).__name__, problem, remedy) from error
        if found != wanted:
            problem = f"it returns {found} rows for {batch_size(train)} + {batch_size(meta)} examples"
            remedy = "return both batches as one, the train rows first"
            raise InputError("collate", type(self._collate).__name__, problem, remedy)
        return both

    def training(
        self, batch: Batch, parameters: Parameters | None = None, train_size: int | None = None
    ) -> Tensor:
        """Return losses [B] with their graph, by the forward that is then trained on.

        It goes through the model's wrapper and writes buffers as any training forward does, unless
        dry.

        Args:
            batch: What the model is trained on.
            parameters: Values to compute with instead of the module's own, by name; gradients reach
                the module's own through them.
            train_size: How many examples come first where it is a train and a meta batch; None for a
                single one.
        """
        torch.clear_autocast_cache()  # a copy made without gradients would keep them from the parameters
        if self.dry:
            with self._untraced(parameters or {}) as model:
                return example_losses(self.losses, model, batch, train_size)
        values = self.replicas.at(parameters) if parameters else nullcontext()
        with values, self.replicas.communicating() as model:
            return example_losses(self.losses, model, batch, train_size)

    def probe(self, batch: Batch, parameters: Parameters, replay: GeneratorState | None = None) -> Tensor:
        """Compute losses [B] at other parameters; no parameter, buffer or generator is written.

        Args:
            batch: What to evaluate.
            parameters: Values by name.
            replay: Generators to draw dropout masks from, so that they equal those of an earlier
                forward; None draws whatever comes.
        """
        with self._drawing(batch, replay), self._untraced(parameters) as model:
            return example_losses(self.losses, model, batch)

    def gradient(
        self,
        batch: Batch,
        parameters: Parameters,
        weigh: Callable[[Tensor], Tensor] | None = None,
        names: Collection[str] | None = None,
        *,
        replay: GeneratorState | None = None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the gradient of Σ w_i ℓ_i by plain autograd, and the losses; nothing is written.

        Args:
            batch: What to evaluate.
            parameters: Values by name, at which the gradient is taken; they ask for gradients.
            weigh: Maps the losses [B], detached, to weights [B]; None for ones.
            names: Parameters to differentiate by; None for all of `parameters`.
            replay: As for `probe`.

        Returns:
            Gradients by name, dense, zero where the losses do not depend on a parameter; losses [B],
            detached.
        """
        wanted = {name: value for name, value in parameters.items() if names is None or name in names}
        if self._is_idle(batch):
            return _zeros(wanted), _no_losses(wanted)
        with torch.enable_grad(), self._drawing(batch, replay), self._untraced(parameters) as model:
            losses_B = example_losses(self.losses, model, batch)
            weighted_B = losses_B if weigh is None else weigh(losses_B.detach()).to(losses_B) * losses_B
            # inside the block: an activation checkpoint evaluates parts of the model again
            return self.replicas.gradients(weighted_B.sum(), wanted), losses_B.detach()

    def gradients(
        self,
        batch: Batch,
        parameters: Parameters,
        weights_KB: Tensor,
        replay: GeneratorState,
        keep: Callable[[dict[str, Tensor]], Any] = dict,
    ) -> tuple[list[Any], Tensor]:
        """Compute the gradients of several weighted sums of the same losses by plain autograd.

        All go back through the graph of one forward, unless the backwards of a sharded model free it, or
        compiled functions in it do.

        Args:
            batch: What to evaluate.
            parameters: Values by name, at which the gradients are taken; they ask for gradients.
            weights_KB: Weights of each of the K sums.
            replay: Generators to draw from.
            keep: Makes what is kept of each gradient.

        Returns:
            Gradients by name, or what is kept of them, for each of the sums; losses [B], detached.
        """
        if self._is_idle(batch):
            return [keep(_zeros(parameters)) for _ in weights_KB], _no_losses(parameters)
        found: list[Any] = []
        library, keeps_graph = LibraryGenerators.now(), not self.replicas.is_sharded
        while len(found) < len(weights_KB):
            library.restore()
            with torch.enable_grad(), replay.replayed(), self._untraced(parameters) as model:
                losses_B = self._differentiable(example_losses(self.losses, model, batch))
                for weights_B in weights_KB[len(found) :]:
                    total = (weights_B.to(losses_B) * losses_B).sum()
                    try:
                        gradient = self.replicas.gradients(total, parameters, retain_graph=keeps_graph)
                    except RuntimeError as error:
                        if not keeps_graph or "donated buffers" not in str(error):
                            raise
                        keeps_graph = False
                        break
                    found.append(keep(gradient))
                    if not keeps_graph:
                        break
        return found, losses_B.detach()

    def check_graph(self, batch: Batch) -> None:
        """Check that gradients of the losses can be taken, from the graph of one forward; nothing is written.

        Raises:
            InputError: The losses depend on no trained parameter, or a part of the graph hides some.
        """
        if self._is_idle(batch):
            return
        parameters = trained_parameters(self.module)
        with torch.enable_grad(), self._drawing(batch, None), self._untraced(parameters) as model:
            self._differentiable(example_losses(self.losses, model, batch))

    def _differentiable(self, losses_B: Tensor) -> Tensor:
        if not losses_B.requires_grad:
            problem = "they do not depend on any trained parameter"
            remedy = "compute them from the model's outputs, without detach or no_grad"
            raise InputError("losses", "no gradient", problem, remedy)
        _check_no_hidden_backward(losses_B, self.module)
        return losses_B

    def _is_idle(self, batch: Batch) -> bool:
        """Return whether there is nothing to evaluate: a rank's share may be empty, which few layers take.

        The ranks of a sharded model evaluate it together, whatever their shares.
        """
        return not batch_size(batch) and not self.replicas.is_sharded

    @contextmanager
    def _untraced(self, parameters: Parameters) -> Iterator[Any]:
        """Give the model with other parameters and with copies of its buffers, inside the block."""
        buffers = copied_buffers(self.module)
        versions = {name: buffer._version for name, buffer in buffers.items()}
        with (
            self.replicas.at({**buffers, **parameters}),
            self.replicas.without_communication() as model,
        ):
            yield model
            current = dict(self.module.named_buffers())
            self.writes_buffers |= any(
                current.get(name) is not buffer or buffer._version != versions[name]
                for name, buffer in buffers.items()
            )

    @staticmethod
    @contextmanager
    def _drawing(batch: Batch, replay: GeneratorState | None) -> Iterator[None]:
        with replay.replayed() if replay else untouched_generators(batch_device(batch)):
            yield

    def generators(self, batch: Batch) -> GeneratorState:
        """Return where the generators stand that a forward of this batch draws from."""
        return GeneratorState.now(batch_device(batch))


def _check_no_hidden_backward(losses_B: Tensor, module: nn.Module) -> None:
    """Check that no part of a graph goes back by itself: gradients of its parameters cannot be asked for."""
    for node in graph_nodes([losses_B]):
        if type(node).__name__ == "CheckpointFunctionBackward":
            problem = "it checkpoints activations with use_reentrant=True, which hides the parameters inside"
            remedy = (
                "pass use_reentrant=False, to transformers as gradient_checkpointing_kwargs="
                "{'use_reentrant': False}"
            )
            raise InputError("model", type(module).__name__, problem, remedy)


def _zeros(parameters: Parameters) -> dict[str, Tensor]:
    return {name: torch.zeros_like(value) for name, value in parameters.items()}


def _no_losses(parameters: Parameters) -> Tensor:
    return next(iter(parameters.values())).new_empty(0)


def backward_weighted(losses_B: Tensor, weights_B: Tensor, world_size: int) -> None:
    """Add the gradient of Σ w_i ℓ_i to the parameters' own.

    DistributedDataParallel averages over ranks, so each rank's part of the sum is scaled by their
    number.
    """
    torch.autograd.backward((weights_B.detach().to(losses_B) * losses_B).sum() * world_size)
