"""Choose the cheapest exact estimator that supports the model."""

import logging

from torch import nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment.finite_difference import FiniteDifference
from l2rw_ray.meta.alignment.forward_mode import ForwardMode
from l2rw_ray.meta.alignment.ghost import Ghost
from l2rw_ray.meta.alignment.interface import Estimator, ScoredBatch
from l2rw_ray.meta.alignment.registry import ESTIMATORS
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.forward import Forward
from l2rw_ray.meta.generators import LibraryGenerators
from l2rw_ray.meta.losses import Batch

AUTO = "auto"
_PREFERRED: tuple[type[Estimator], ...] = (Ghost, ForwardMode, FiniteDifference)


@ESTIMATORS.register(AUTO)
class Automatic:
    """Ghost, else forward mode, else (where an operation has no forward-mode rule) finite differences."""

    def __init__(self) -> None:
        self._left = [kind() for kind in _PREFERRED]
        self._refusals: list[str] = []
        self._is_settled = False

    def check(self, module: nn.Module) -> None:
        """Accept every module: finite differences support all of them."""

    def score(self, forward: Forward, batch: Batch, source: DirectionSource) -> ScoredBatch:
        """Score with the first estimator that accepts the model; a refused one is not tried again."""
        state = forward.generators(batch)
        libraries = None if self._is_settled else LibraryGenerators.now()
        while True:
            estimator: Estimator = self._left[0]
            try:
                estimator.check(forward.module)
                scored = estimator.score(forward, batch, source)
            except UnsupportedModelError as refused:
                self._refusals.append(str(refused))
                if len(self._left) == 1:
                    reasons, remedy = "; ".join(self._refusals), "name the estimator, to see what it wants"
                    raise UnsupportedModelError(
                        "estimator", AUTO, f"all refuse ({reasons})", remedy
                    ) from refused
                logging.getLogger(__name__).info("%s", refused)
                state.restore()
                if libraries is not None:
                    libraries.restore()
                del self._left[0]
            else:
                self._is_settled = True
                return scored
