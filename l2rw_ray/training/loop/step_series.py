"""The steps of one epoch as a short series.

Shape suffixes: S steps of the epoch, K chunks.
"""

import math

import torch
from torch import Tensor

from l2rw_ray.events import StepSeries

_MAX_POINTS, _MIN_POINTS = 200, 20
"""Points per series; fewer where a trial has many."""
_POINTS_OF_A_TRIAL = 2000


def step_series(loss_S: Tensor, effective_S: Tensor | None, first: int, evaluations: int) -> StepSeries:
    """Average the steps between two evaluations over chunks.

    Args:
        loss_S: Each step's loss, NaN where it has none.
        effective_S: Each step's effective sample size, NaN where it has none; None for a plain epoch.
        first: Steps of the trial before these.
        evaluations: About how many such series the trial has.
    """
    steps = len(loss_S)
    most = min(_MAX_POINTS, max(_MIN_POINTS, _POINTS_OF_A_TRIAL // evaluations))
    stride = max(1, math.ceil(steps / most))
    ends = [min(end + stride, steps) for end in range(0, steps, stride)]
    if effective_S is None:
        effective_S = torch.full_like(loss_S, torch.nan)
    return StepSeries(
        step=tuple(first + end for end in ends),
        train_loss=_chunk_means(loss_S, stride),
        effective_sample_size=_chunk_means(effective_S, stride),
    )


def _chunk_means(values_S: Tensor, stride: int) -> tuple[float | None, ...]:
    padded = torch.nn.functional.pad(values_S, (0, -len(values_S) % stride), value=torch.nan)
    means_K = padded.view(-1, stride).nanmean(dim=1)
    return tuple(None if math.isnan(mean) else mean for mean in means_K.tolist())
