"""Which function implements which estimator."""

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor, nn

from l2rw_ray.errors import InputError
from l2rw_ray.meta.losses import Batch, LossFunction

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


_ESTIMATORS: dict[str, Estimator] = {}


def register(name: str) -> Callable[[Estimator], Estimator]:
    """Make a function the estimator `name`; a second one for the same name is an error."""

    def add(estimator: Estimator) -> Estimator:
        if name in _ESTIMATORS or name == AUTO:
            raise ValueError(f"estimator {name!r} is registered twice")
        _ESTIMATORS[name] = estimator
        return estimator

    return add


def estimator_named(name: str) -> Estimator:
    """The estimator of that name; `auto` is the cheapest that treats every module exactly.

    Raises:
        InputError: There is no such estimator.
    """
    chosen = "forward_mode" if name == AUTO else name
    if chosen not in _ESTIMATORS:
        raise InputError("estimator", name, "unknown", f"use one of {', '.join(estimator_names())}")
    return _ESTIMATORS[chosen]


def estimator_names() -> tuple[str, ...]:
    """Every name that `estimator_named` takes."""
    return (AUTO, *sorted(_ESTIMATORS))
