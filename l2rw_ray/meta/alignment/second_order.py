"""The papers' way: differentiate through the lookahead step (double backward).

Kept to be measured beside the others. It takes no direction unless one is there from an earlier step: the
meta gradient at θ̂ is pulled back through the graph of the step itself.

Shape suffixes: B train batch of this rank.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment.interface import REMEDY, GraphScoredBatch, check_not_compiled
from l2rw_ray.meta.alignment.kernels import differentiable_kernels
from l2rw_ray.meta.alignment.registry import ESTIMATORS
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.evaluation.batches import Batch
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.losses import copied_buffers, replaced_tensors, trained_parameters


@ESTIMATORS.register("second_order")
class SecondOrder:
    """Exact alignments for any module with second derivatives, at three to four plain steps."""

    def check(self, module: nn.Module) -> None:
        """Accept every module; operations are checked when it is differentiated twice."""

    def score(self, forward: Forward, batch: Batch, source: DirectionSource) -> GraphScoredBatch:
        """Score a train batch by pulling the meta gradient at θ̂ back through the lookahead step's graph."""
        check_not_compiled(forward, "second_order")
        module, replicas = forward.module, forward.replicas
        parameters = trained_parameters(module)
        buffers = copied_buffers(module)  # of before the forward, as for every other estimator
        with torch.enable_grad(), differentiable_kernels(module):
            losses_B = forward.training(batch)
            start_B = source.epsilon_at(losses_B)
            epsilon_B = torch.zeros_like(losses_B) if start_B is None else start_B.detach().clone()
            epsilon_B.requires_grad_()
            with _twice_differentiable(module), replaced_tensors(module, copied_buffers(module)):
                parts = torch.autograd.grad(
                    (epsilon_B * losses_B).sum(),
                    tuple(parameters.values()),
                    create_graph=True,
                    allow_unused=True,
                    materialize_grads=True,
                )
            gradient = dict(zip(parameters, parts, strict=True))
            if start_B is not None:
                total = replicas.sum_all({name: part.detach() for name, part in gradient.items()})
                gradient = {name: part + (total[name] - part.detach()) for name, part in gradient.items()}
            if source.direction is None:
                values = {name: parameter.detach() for name, parameter in parameters.items()}
                stepped = source.lookahead.stepped(values, gradient)
                with replaced_tensors(module, buffers):
                    slopes = self._meta_gradient(forward, source, values, gradient, stepped)
                along = {name: -slope for name, slope in slopes.items()}
            else:
                stepped, along = gradient, source.direction.values
        # an activation checkpoint writes buffers again, which is left to the backward of the step
        with _twice_differentiable(module), replaced_tensors(module, copied_buffers(module)):
            (scores_B,) = torch.autograd.grad(
                tuple(stepped.values()),
                epsilon_B,
                tuple(along[name] for name in stepped),
                retain_graph=True,
                materialize_grads=True,
            )
        return GraphScoredBatch(losses_B, scores_B, replicas.world_size)

    @staticmethod
    def _meta_gradient(
        forward: Forward,
        source: DirectionSource,
        values: dict[str, Tensor],
        gradient: dict[str, Tensor],
        stepped: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        """Compute the mean meta gradient at θ̂ over all ranks, and leave the direction for later steps."""
        if not source.moves:
            return source.get().values
        point = {name: value.detach().requires_grad_() for name, value in stepped.items()}
        parts, losses_M = forward.gradient(source.meta_batch, point, replay=source.generators)
        found = source.accept({**parts}, losses_M.sum())
        start = {name: part.detach() for name, part in gradient.items()}
        source.direction = replace(found, parts=source.lookahead.pull_back(values, start, found.values))
        return found.values


@contextmanager
def _twice_differentiable(module: nn.Module) -> Iterator[None]:
    """Turn torch's complaint about an operation without second derivative into a refusal."""
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:
        if "derivative" not in str(error) and "double backward" not in str(error):
            raise
        reason = str(error).split("\n")[0].rstrip(".")
        raise UnsupportedModelError("model", type(module).__name__, reason, REMEDY) from error
