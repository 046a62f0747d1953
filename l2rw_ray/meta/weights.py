"""From scores to weights."""

from typing import Literal

import torch
from torch import Tensor

from l2rw_ray.errors import InputError
from l2rw_ray.meta.replicas import BatchTotals, Replicas

Clip = Literal["relu", "none", "abs"]
Normalise = Literal["batch_sum", "none", "mean_one"]


def clipped(scores_B: Tensor, clip: Clip) -> Tensor:
    """Scores with their negative part removed (`relu`), kept (`none`) or turned over (`abs`)."""
    match clip:
        case "relu":
            return scores_B.clamp_min(0)
        case "abs":
            return scores_B.abs()
        case "none":
            return scores_B
    raise InputError("clip", clip, "unknown", "use relu, none or abs")


def normalised(clipped_B: Tensor, totals: BatchTotals, normalise: Normalise) -> Tensor:
    """Divide by the global sum of magnitudes (`batch_sum`), by their mean (`mean_one`), or not (`none`).

    Where the sum is zero every weight is zero.
    """
    if normalise == "none":
        return clipped_B
    if normalise not in ("batch_sum", "mean_one"):
        raise InputError("normalise", normalise, "unknown", "use batch_sum, none or mean_one")
    wanted = totals.global_size if normalise == "mean_one" else 1.0
    return torch.where(totals.weight > 0, clipped_B / totals.weight * wanted, torch.zeros_like(clipped_B))


def example_weights(
    scores_B: Tensor,
    clip: Clip = "relu",
    normalise: Normalise = "batch_sum",
    replicas: Replicas | None = None,
) -> Tensor:
    """Weights [B] of a batch from its scores [B].

    Args:
        scores_B: Scores, of this rank's examples.
        clip: What becomes of negative scores.
        normalise: What the weights add up to: 1, their number, or what they do.
        replicas: The ranks that share the global batch; None for a single process.

    Returns:
        Weights; by default non-negative with sum 1 over the global batch, all zero when no score is
        positive.

    Raises:
        InputError: `clip` or `normalise` is unknown.

    Source:
        Ren et al. 2018, equations 13 and 14.
    """
    clipped_B = clipped(scores_B, clip)
    total, size = clipped_B.abs().sum(), len(scores_B)
    alone = BatchTotals(total, total.new_tensor([float(size)]))
    return normalised(clipped_B, replicas.batch_totals(total, size) if replicas else alone, normalise)
