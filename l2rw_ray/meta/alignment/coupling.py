"""Detect coupling between the examples of a batch that layer types do not reveal.

Shape suffixes: B train batch of this rank.
"""

import torch
from torch import Tensor

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.forward import Forward
from l2rw_ray.meta.generators import GeneratorState
from l2rw_ray.meta.losses import Batch, example_losses

_ROUNDING = 100.0
"""Tolerance for the loss of one example beside different neighbours, in units of machine epsilon."""


def check_independence(forward: Forward, batch: Batch, remedy: str) -> bool:
    """Check that an example's loss stays the same when its neighbours change, and no buffer is written.

    Two examples are evaluated together, each with the other blanked, and with two more behind them, which
    reveals dependence on the batch's size; dropout draws the same masks. Each rank examines its own first
    examples.

    Args:
        forward: Evaluates losses.
        batch: Inputs and targets [B], at least one.
        remedy: What to use instead.

    Returns:
        Whether the losses depend on their inputs at all; if not, the check says nothing.

    Raises:
        UnsupportedModelError: They are coupled, or something would be written into a buffer.
    """
    x, y = (part[:2] if len(part) > 1 else part[:1].repeat_interleave(2, dim=0) for part in batch)
    blank = torch.zeros_like(x)
    look = _Look(forward, forward.generators(batch))
    together = look.losses(x, y)
    first = look.losses(torch.stack([x[0], blank[1]]), y)
    second = look.losses(torch.stack([blank[0], x[1]]), y)
    pairs = [(first[:1], together[:1]), (second[1:], together[1:])]
    if not look.is_random:
        longer = look.losses(torch.cat([x, blank]), torch.cat([y, y]))
        pairs.append((longer[:2], together))
    slack = _ROUNDING * torch.finfo(together.dtype).eps
    same = all(
        torch.allclose(found, expected, rtol=slack, atol=slack, equal_nan=True) for found, expected in pairs
    )
    problem = look.written or (None if same else "an example's loss changes with the others of its batch")
    if problem is not None:
        raise UnsupportedModelError("model", type(forward.module).__name__, problem, remedy)
    return not torch.equal(torch.stack([second[0], first[1]]), together)


class _Look:
    """Dry forwards that draw the same random numbers.

    Args:
        forward: Evaluates losses.
        replay: Generators to draw from.

    Attributes:
        is_random: Whether a forward has drawn any.
        written: A sentence about the first buffer that a forward wrote, if any.
    """

    def __init__(self, forward: Forward, replay: GeneratorState) -> None:
        self._forward, self._replay = forward, replay
        self.is_random = False
        self.written: str | None = None

    @torch.no_grad()
    def losses(self, x: Tensor, y: Tensor) -> Tensor:
        module = self._forward.module
        held = [
            (path, part, name, buffer, buffer.clone(), buffer._version)
            for path, part in module.named_modules()
            for name, buffer in part._buffers.items()
            if buffer is not None
        ]
        try:
            with self._replay.replayed():
                losses = example_losses(self._forward.loss_fn, module(x), y)
                self.is_random |= not GeneratorState.now(x.device).equals(self._replay)
        finally:
            for path, part, name, buffer, before, version in held:
                if part._buffers[name] is not buffer or buffer._version != version:
                    place = f"{path}.{name}" if path else name
                    self.written = f"its buffer {place} is written by a forward, and would see the meta batch"
                    part._buffers[name] = buffer.copy_(before)
        return losses
