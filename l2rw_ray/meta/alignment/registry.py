"""Which function implements which estimator."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from l2rw_ray.meta.losses import Batch, LossFunction
from l2rw_ray.registry import Registry

AUTO = "auto"


class Estimator(Protocol):
    """Computes how each example's gradient aligns with a direction."""

    def __call__(
        self, module: nn.Module, loss_fn: LossFunction, batch: Batch, direction: Mapping[str, Tensor]
    ) -> Tensor:
        """Alignments ⟨D, ∇ℓ_i⟩ [B] of the examples of a batch; writes nothing.

        Args:
            module: The network, not wrapped.
            loss_fn: Maps (output, target) to one loss per example.
            batch: Inputs and targets, [B].
            direction: D by name of the trainable parameters.
        """


ESTIMATORS: Registry[Estimator] = Registry("estimator")


def estimator_named(name: str) -> Estimator:
    """The estimator of that name; `auto` is the cheapest that treats every module exactly.

    Raises:
        InputError: There is no such estimator.
    """
    return ESTIMATORS.get("forward_mode" if name == AUTO else name)
