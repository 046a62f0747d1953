"""Losses per example, and evaluating a model on parameters that are not its own."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call

from l2rw_ray.errors import InputError

LossFunction = Callable[[Any, Tensor], Tensor]
"""Maps (output, target) to one loss per example."""
Batch = tuple[Tensor, Tensor]
"""Inputs [B, …] and targets [B, …]."""
Parameters = Mapping[str, Tensor]
"""Values by the names of a module's parameters."""

_REMEDY = "give it reduction='none' and average over all dimensions but the first"


def example_losses(loss_fn: LossFunction, output: Any, target: Tensor) -> Tensor:
    """Return one loss per example, [B].

    Raises:
        InputError: The loss function returned anything else, such as the mean over the batch.
    """
    losses = loss_fn(output, target)
    if not isinstance(losses, Tensor):
        raise InputError("loss_fn", type(losses).__name__, "no tensor of losses", "return one loss each, [B]")
    if losses.shape != target.shape[:1]:
        found = f"a loss of shape {tuple(losses.shape)}"
        raise InputError("loss_fn", found, f"{len(target)} examples want one loss each", _REMEDY)
    if not losses.is_floating_point():
        raise InputError("loss_fn", losses.dtype, "no differentiable loss", "return a floating-point loss")
    return losses


def checked_batch(name: str, batch: Batch) -> Batch:
    """Check that a batch's inputs and targets are tensors of one length, and return it.

    Args:
        name: What the user calls it, for the error.
        batch: What the user gave.

    Raises:
        InputError: It is anything else.
    """
    remedy = "give a pair of tensors: inputs [B, …] and one target each, [B, …]"
    parts = batch if isinstance(batch, tuple | list) else (batch,)
    if len(parts) != 2 or not all(isinstance(part, Tensor) and part.ndim for part in parts):
        raise InputError(
            name, ", ".join(type(part).__name__ for part in parts), "no inputs and targets", remedy
        )
    if len(parts[0]) != len(parts[1]):
        shapes = " and ".join(str(list(part.shape)) for part in parts)
        raise InputError(name, shapes, "inputs and targets differ in number", remedy)
    return parts[0], parts[1]


def losses_at(module: nn.Module, parameters: Parameters, loss_fn: LossFunction, batch: Batch) -> Tensor:
    """Compute losses [B] of the module with other parameters; nothing of the module is written.

    Args:
        module: The network, not wrapped.
        parameters: Values of its parameters, by name.
        loss_fn: Maps (output, target) to one loss per example.
        batch: Inputs and targets.
    """
    x, y = batch
    values = {**copied_buffers(module), **parameters}
    return example_losses(loss_fn, output_at(module, values, x), y)


def output_at(
    module: nn.Module, values: Parameters, x: Tensor, wrapper: nn.Module | None = None, prefix: str = ""
) -> Any:
    """Compute the output of the module with other parameters or buffers.

    torch's own tying of shared tensors would leave a module that has two names with the given values for
    good; here each place that holds a tensor is named once.

    Args:
        module: The network, not wrapped.
        values: By name; a tensor that has several goes by its first.
        x: Inputs.
        wrapper: What to call instead of the module, such as its DistributedDataParallel.
        prefix: What the wrapper puts before names.
    """
    first: dict[int, str] = {}
    given = {}
    for path, part in module.named_modules():
        for name, tensor in (*part._parameters.items(), *part._buffers.items()):
            place = f"{path}.{name}" if path else name
            if tensor is not None and (known := first.setdefault(id(tensor), place)) in values:
                given[prefix + place] = values[known]
    return functional_call(module if wrapper is None else wrapper, given, (x,), tie_weights=False)


def copied_buffers(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of the module's buffers, for a forward that must not write them."""
    return {name: buffer.detach().clone() for name, buffer in module.named_buffers()}


def trainable(module: nn.Module) -> dict[str, Tensor]:
    """Return the module's trainable parameters by name, detached and asking for gradients of their own.

    Raises:
        InputError: There are none.
    """
    found = {
        name: parameter.detach().requires_grad_()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }
    if not found:
        raise InputError(
            "model", type(module).__name__, "no parameter to train", "set requires_grad on some of them"
        )
    return found
