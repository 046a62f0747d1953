"""Outputs and features of a whole set, computed by all ranks together.

Shape suffixes: N examples of the set, C classes, F features, B batch.
"""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from l2rw_ray.data import ExampleSet
from l2rw_ray.errors import NonFiniteError, UnsupportedModelError
from l2rw_ray.meta import Batch, Replicas
from l2rw_ray.meta.evaluation.batches import batch_size
from l2rw_ray.methods.interface import TrainingContext
from l2rw_ray.methods.output_layer import output_layer

_BATCH = 512


def outputs_of(examples: ExampleSet, context: TrainingContext, step: int) -> Tensor:
    """Return logits [N, C] of a set, from the model in eval mode, equal on all ranks, which all call this.

    Args:
        examples: The set.
        context: What the trial trains with; each rank evaluates a share.
        step: Steps made so far, for the error message.

    Raises:
        NonFiniteError: One is NaN or infinite.
    """
    return _of_all_ranks(examples, context, lambda network, x: network(x), step)


def features_of(examples: ExampleSet, context: TrainingContext, step: int) -> Tensor:
    """Return penultimate features [N, F], the inputs of the last linear layer; else as `outputs_of`.

    Raises:
        NonFiniteError: One is NaN or infinite.
        UnsupportedModelError: The network has no linear layer, or does not call it.
    """
    return _of_all_ranks(examples, context, _features, step)


def from_first_rank(tensor: Tensor, context: TrainingContext) -> Tensor:
    """Return rank 0's tensor on every rank, so that decisions do not depend on a last digit."""
    if context.world_size > 1:
        dist.broadcast(tensor, src=0)
    return tensor


@torch.no_grad()
def _of_all_ranks(
    examples: ExampleSet, context: TrainingContext, forward: Callable[[nn.Module, Batch], Tensor], step: int
) -> Tensor:
    replicas, count, ranks = Replicas.of(context.model), len(examples), context.world_size
    start, end = count * context.rank // ranks, count * (context.rank + 1) // ranks
    network = replicas.module
    network.eval()
    try:
        own = [forward(network, examples.take(index)[0]) for index in torch.arange(start, end).split(_BATCH)]
    finally:
        network.train()
    dtype = torch.promote_types(own[0].dtype, torch.float32)  # autocast may have left less
    whole_N = own[0].new_zeros(count, *own[0].shape[1:], dtype=dtype)
    whole_N[start:end] = torch.cat(own)
    replicas.sum(whole_N)
    if not whole_N.isfinite().all():
        raise NonFiniteError(step, "outputs")
    return whole_N


def _features(network: nn.Module, x: Batch) -> Tensor:
    name, layer = output_layer(network)
    seen: list[Tensor] = []

    def record(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0].flatten(1))

    handle = layer.register_forward_pre_hook(record)
    try:
        network(x)
    finally:
        handle.remove()
    if not seen or len(seen[-1]) != batch_size(x):
        problem, remedy = (
            "its inputs are not the features of a batch, [B, F]",
            "use another model or method",
        )
        raise UnsupportedModelError("model", name, problem, remedy)
    return seen[-1]
