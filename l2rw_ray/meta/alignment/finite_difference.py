"""Finite differences: one more forward, at parameters a small step along D.

One-sided: (ℓ(θ) − ℓ(θ − hD))/h, whose first term is the training forward itself. Rounding grows as
1/h and curvature as h; `h = 3·sqrt(machine epsilon)/‖D‖` balances them (1e-3/‖D‖ in float32).
`central` removes the curvature's first term for one more forward. Kinks of ReLU and max pooling, of
which a longer step crosses more, leave it no use for the long steps of smooth functions:
`h = 0.2·cbrt(machine epsilon)/‖D‖`, 1e-3/‖D‖ in float32 too.
"""

import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment.interface import REMEDY, GraphScoredBatch
from l2rw_ray.meta.alignment.probe_batch_norm import quick_batch_norms
from l2rw_ray.meta.alignment.registry import ESTIMATORS
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.evaluation.batches import Batch, batch_device
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.generators import GeneratorState
from l2rw_ray.meta.evaluation.losses import Parameters, trained_parameters
from l2rw_ray.meta.evaluation.replaced import replaced_forwards

_ONE_SIDED_FACTOR = 3.0
_CENTRAL_FACTOR = 0.2
_COARSEST = 1e-6
"""Machine epsilon above which differences are refused."""


@ESTIMATORS.register("finite_difference")
class FiniteDifference:
    """Nearly exact alignments for any module, at the cost of one forward.

    Args:
        central: Whether to take the difference of two probes instead of one with the training
            forward.
    """

    treats_shards = True

    def __init__(self, *, central: bool = False) -> None:
        self._central = central

    def check(self, module: nn.Module) -> None:
        """Accept every module."""

    def score(self, forward: Forward, batch: Batch, source: DirectionSource) -> GraphScoredBatch:
        """Score by differences of losses; losses below single precision are an error.

        Probes come before the training forward, so that only one of them is in memory at a time; they
        draw the masks that it will draw.
        """
        dtype = forward.replicas.dtype
        if torch.is_autocast_enabled(batch_device(batch).type) or torch.finfo(dtype).eps > _COARSEST:
            raise UnsupportedModelError(
                "estimator",
                "central_difference" if self._central else "finite_difference",
                "rounding in less than float32 drowns the difference",
                REMEDY,
            )
        found = source.get()
        direction = found.values
        replay = forward.generators(batch)
        step = _step_size(found.norm, dtype, central=self._central)
        behind_B = _probe(forward, batch, direction, -step, replay)
        probed_B = _probe(forward, batch, direction, step, replay) if self._central else None
        with torch.enable_grad():
            losses_B = forward.training(batch)
        ahead_B = losses_B.detach() if probed_B is None else probed_B
        slopes_B = (ahead_B - behind_B) / (2 * step if self._central else step)
        return GraphScoredBatch(losses_B, slopes_B, forward.replicas.world_size)


@ESTIMATORS.register("central_difference")
def central_difference() -> FiniteDifference:
    """Return the estimator by finite differences of two probes: more exact, one more forward."""
    return FiniteDifference(central=True)


def _step_size(norm: Tensor, dtype: torch.dtype, *, central: bool) -> Tensor:
    """Compute the step h so that ‖hD‖ balances rounding against curvature; arbitrary where D is zero."""
    epsilon = torch.finfo(dtype).eps
    length = _CENTRAL_FACTOR * epsilon ** (1 / 3) if central else _ONE_SIDED_FACTOR * epsilon**0.5
    step: Tensor = length / norm.clamp_min(torch.finfo(dtype).tiny ** 0.5)
    return step


@torch.no_grad()
def _probe(
    forward: Forward, batch: Batch, direction: Parameters, step: Tensor, replay: GeneratorState
) -> Tensor:
    parameters = {
        name: parameter.detach() + step * direction[name]
        for name, parameter in trained_parameters(forward.module).items()
    }
    if forward.replicas.is_compiled:
        return forward.probe(batch, parameters, replay)
    with replaced_forwards(quick_batch_norms(forward.module)):
        return forward.probe(batch, parameters, replay)
