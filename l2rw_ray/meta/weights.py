"""From scores to weights.

Shape suffixes: B train batch of this rank.
"""

from typing import Literal, get_args

import torch
import torch.distributed as dist
from torch import Tensor

from l2rw_ray.errors import InputError
from l2rw_ray.meta.evaluation.batches import checked_by_example
from l2rw_ray.meta.replicas import BatchTotals, Replicas

Clip = Literal["relu", "none", "abs"]
Normalise = Literal["batch_sum", "none", "mean_one"]


def checked_rule(clip: str, normalise: str) -> tuple[Clip, Normalise]:
    """Return the two parts of a weight rule after checking them.

    Raises:
        InputError: One is unknown.
    """
    for name, given, kind in (("clip", clip, Clip), ("normalise", normalise, Normalise)):
        if given not in get_args(kind):
            raise InputError(name, given, "unknown", f"use one of {', '.join(get_args(kind))}")
    return clip, normalise  # type: ignore[return-value]  # the loop has narrowed them


def clipped(scores_B: Tensor, clip: Clip) -> Tensor:
    """Return scores with their negative part removed (`relu`), kept (`none`) or negated (`abs`)."""
    match clip:
        case "relu":
            return scores_B.clamp_min(0)
        case "abs":
            return scores_B.abs()
        case "none":
            return scores_B


def magnitude_of(clipped_B: Tensor) -> Tensor:
    """Return the sum of clipped scores' magnitudes, a scalar; in float16 it would overflow above 65,504."""
    return clipped_B.abs().sum(dtype=torch.promote_types(clipped_B.dtype, torch.float32))


def normalised(clipped_B: Tensor, totals: BatchTotals, normalise: Normalise) -> Tensor:
    """Divide by the global sum of magnitudes (`batch_sum`), by their mean (`mean_one`), or not (`none`).

    Where the sum is zero every weight is zero; where it is NaN they are NaN.
    """
    if normalise == "none":
        return clipped_B
    wanted = totals.global_size if normalise == "mean_one" else 1.0
    return torch.where(totals.weight == 0, torch.zeros_like(clipped_B), clipped_B / totals.weight * wanted)


def example_weights(
    scores_B: Tensor,
    clip: Clip = "relu",
    normalise: Normalise = "batch_sum",
    replicas: Replicas | None = None,
) -> Tensor:
    """Compute weights [B] of a batch from its scores [B].

    Args:
        scores_B: Scores, of this rank's examples.
        clip: How negative scores are treated.
        normalise: What the weights' magnitudes add up to: 1, their number, or what they do.
        replicas: The ranks that share the global batch, `Replicas.of(model)`; None for a single
            process.

    Returns:
        Weights; by default non-negative with sum 1 over the global batch, all zero when no score is
        positive.

    Raises:
        InputError: The scores are not [B], `clip` or `normalise` is unknown, or there are several ranks and
            `replicas` does not say which of them share the batch.

    Source:
        Ren et al. 2018, equations 13 and 14.
    """
    checked_rule(clip, normalise)
    checked_by_example("scores_B", scores_B)
    if replicas is None and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        problem = f"{dist.get_world_size()} ranks would each normalise alone"
        raise InputError("replicas", None, problem, "pass replicas=Replicas.of(model)")
    clipped_B = clipped(scores_B, clip)
    total, size = magnitude_of(clipped_B), len(scores_B)
    alone = BatchTotals(total, total.new_tensor([float(size)]), total.new_zeros(()))
    return normalised(clipped_B, replicas.batch_totals(total, size) if replicas else alone, normalise)
