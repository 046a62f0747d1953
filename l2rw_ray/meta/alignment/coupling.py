"""Whether the examples of a batch see each other, which no layer's type tells.

Shape suffixes: B train batch of this rank.
"""

import torch
from torch import Tensor

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.forward import Forward
from l2rw_ray.meta.generators import GeneratorState
from l2rw_ray.meta.losses import Batch, copied_buffers, example_losses, output_at

_ROUNDING = 100.0
"""Difference, in units of machine epsilon, that the same example may show beside another neighbour."""


def refuse_coupling(forward: Forward, batch: Batch, remedy: str) -> None:
    """Check that an example's loss stays the same when its neighbour changes, and no buffer is written.

    An example is evaluated twice beside another one, that once blanked; dropout draws the same masks.
    Each rank looks at its own first examples.

    Args:
        forward: Evaluates losses.
        batch: Inputs and targets [B], at least one.
        remedy: What to use instead.

    Raises:
        UnsupportedModelError: They are coupled, or something would be written into a buffer.
    """
    x, y = (part[:2] if len(part) > 1 else part[:1].repeat_interleave(2, dim=0) for part in batch)
    blanked = torch.stack([x[0], torch.zeros_like(x[1])])
    replay = forward.generators(batch)
    beside, written = _evaluate(forward, (x, y), replay)
    alone, _ = _evaluate(forward, (blanked, y), replay)
    name = type(forward.module).__name__
    if written is not None:
        problem = f"its buffer {written} is written by a forward, and the meta batch's would be too"
        raise UnsupportedModelError("model", name, problem, remedy)
    slack = _ROUNDING * torch.finfo(beside.dtype).eps
    if not torch.isclose(beside[0], alone[0], rtol=slack, atol=slack, equal_nan=True):
        problem = "an example's loss changes with the others of its batch"
        raise UnsupportedModelError("model", name, problem, remedy)


@torch.no_grad()
def _evaluate(forward: Forward, batch: Batch, replay: GeneratorState) -> tuple[Tensor, str | None]:
    """Losses of a dry forward, and the first buffer that it wrote."""
    buffers = copied_buffers(forward.module)
    with replay.replayed():
        losses = example_losses(forward.loss_fn, output_at(forward.module, buffers, batch[0]), batch[1])
    own = dict(forward.module.named_buffers())
    return losses, next((name for name, copy in buffers.items() if not torch.equal(copy, own[name])), None)
