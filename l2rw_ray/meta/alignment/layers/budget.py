"""How much memory example gradients that are formed may take."""

from collections.abc import Hashable
from typing import Literal

import psutil
import torch
from torch import Tensor

Memory = Literal["auto", "fast", "lean"] | int
"""What formed example gradients may take: `lean`, a third of the layers' inputs, which are held anyway;
`fast`, four times them, but at most a third of what is free; `auto`, `fast` where all that is free, else
`lean`; or bytes."""
_LEAN_SHARE = 0.35
_FAST_SHARE = 4.0
_FREE_SHARE = 1 / 3


class FormingBudget:
    """Decides, between a pass's forward and its backward, which example gradients are formed.

    Forming a gradient per example saves a contraction as expensive as the layer's forward. The smallest
    for their layers' inputs come first.

    Args:
        memory: What all of them may take.
    """

    def __init__(self, memory: Memory = "auto") -> None:
        self._memory = memory
        self._held = 0
        self._device = torch.device("cpu")
        self._candidates: list[tuple[float, int, Hashable]] = []
        self._granted: set[Hashable] | None = None

    def note(self, call: Hashable, x: Tensor, parameter: Tensor | None) -> None:
        """Count a layer's input, and the parameter of which it could form example gradients.

        Args:
            call: Whom to ask about later.
            x: The input, [N, …].
            parameter: None where forming is no use.
        """
        taken = x.numel() * x.element_size()
        self._held += taken
        if parameter is not None and taken:
            wanted = len(x) * parameter.numel() * x.element_size()
            self._device = x.device
            self._candidates.append((wanted / taken, wanted, call))

    def grants(self, call: Hashable) -> bool:
        """Return whether a layer may form its example gradients."""
        if self._granted is None:
            self._granted = set()
            left = self._limit_bytes() if self._candidates else 0
            for _, wanted, candidate in sorted(self._candidates, key=lambda entry: entry[:2]):
                left -= wanted
                if left >= 0:
                    self._granted.add(candidate)
        return call in self._granted

    def _limit_bytes(self) -> float:
        if isinstance(self._memory, int):
            return self._memory
        lean, fast = _LEAN_SHARE * self._held, _FAST_SHARE * self._held
        if self._memory == "lean":
            return lean
        wanted = min(fast, sum(wanted for _, wanted, _ in self._candidates))
        free = _FREE_SHARE * _free_bytes(self._device)
        if self._memory == "fast":
            return min(fast, free)
        return fast if wanted <= free else lean


def _free_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        reserved, used = torch.cuda.memory_reserved(device), torch.cuda.memory_allocated(device)
        return float(free + reserved - used)
    return float(psutil.virtual_memory().available)
