"""Several optimisers that step together."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer


class OptimizersContainer(Optimizer):
    """Optimisers, each of its own parameters, as one.

    Groups are those of all parts, the same objects, so that rates may be set here. What looks into an
    optimiser, such as a lookahead through its step, looks into the parts.

    Args:
        parts: At least one; the first one has the rates of the `optim` section.
    """

    parts: tuple[Optimizer, ...]

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.__setstate__({"parts": tuple(parts), "defaults": dict(parts[0].defaults)})

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of."""
        return {"parts": self.parts, "defaults": self.defaults}

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]  # read only
        """The groups of all parts, in order."""
        return [group for part in self.parts for group in part.param_groups]

    @property
    def state(self) -> defaultdict[torch.Tensor, Any]:  # type: ignore[override]  # read only
        """The state of all parameters, to look at."""
        return defaultdict(dict, {key: value for part in self.parts for key, value in part.state.items()})

    def step(self, closure: None = None) -> None:  # type: ignore[override]  # none evaluates a loss
        """Make a step of each."""
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Remove the gradients of all parameters."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each part."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)

    def __repr__(self) -> str:
        """Return all parts."""
        return f"OptimizersContainer({', '.join(map(repr, self.parts))})"
