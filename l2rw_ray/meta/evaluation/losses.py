"""Losses per example, and evaluating a model on tensors that are not its own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from l2rw_ray.errors import InputError, UnsupportedModelError
from l2rw_ray.meta.evaluation.batches import Batch, batch_size, checked_pair
from l2rw_ray.trees import map_tensors, named_leaves, rebuilt

LossFunction = Callable[[Any, Any], Tensor]
"""Maps (output, target) to one loss per example, [B]."""
Losses = Callable[[Any, Batch], Tensor]
"""Maps (model, batch) to one loss per example, [B]."""
Parameters = Mapping[str, Tensor]
"""Values by the names of a module's parameters."""

_LOSSES_REMEDY = "return one for each, [B]; the loss that a model computes itself is a mean over the batch"
_REMEDY = "give it reduction='none' and average over all dimensions but the first"


def losses_from(loss_fn: LossFunction | None, losses: Losses | None) -> Losses:
    """Return the losses of a model on a batch, from whichever of the two forms the user gave.

    Args:
        loss_fn: Maps (output, target) to losses [B]; the batch is then a pair of inputs and targets.
        losses: Maps (model, batch) to losses [B].

    Raises:
        InputError: Both are given, or neither.
    """
    if (loss_fn is None) == (losses is None):
        found = "None" if losses is None else "given beside losses"
        raise InputError("loss_fn", found, "the losses are unclear", "pass one of loss_fn and losses")
    for name, function in (("loss_fn", loss_fn), ("losses", losses)):
        if function is not None and not callable(function):
            raise InputError(name, type(function).__name__, "no function", "pass one that returns losses [B]")
    if losses is not None:
        return losses
    assert loss_fn is not None
    return _PairLosses(loss_fn)


class _PairLosses:
    """Losses of a model's output and the targets of a pair."""

    def __init__(self, loss_fn: LossFunction) -> None:
        self._loss_fn = loss_fn

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        inputs, target = checked_pair("batch", batch)
        return self._loss_fn(model(inputs), target)

    def apart(self, model: Any, batch: Batch, train_size: int) -> Tensor:
        """Return the losses [N] of two batches that pass the model as one, each batch by itself.

        A loss that looks at its batch, such as one over the batch's class counts, is then what it is without
        the other batch.

        Args:
            model: The model.
            batch: Both batches, the train examples first.
            train_size: Examples of the train batch.

        Raises:
            UnsupportedModelError: The loss cannot be evaluated on a part of the outputs.
        """
        inputs, target = checked_pair("batch", batch)
        output, size = model(inputs), batch_size(batch)
        leaves = [leaf for tree in (output, target) for _, leaf in named_leaves(tree)]
        if not all(type(leaf) is Tensor and leaf.shape[:1] == (size,) for leaf in leaves):
            raise self._apart_refusal("outputs and targets are not tensors with one row for each example")
        with torch._C.DisableTorchFunction():  # these are moves of this function, not of the model's forward
            shares = [
                (map_tensors(output, itemgetter(rows)), map_tensors(target, itemgetter(rows)))
                for rows in (slice(train_size), slice(train_size, None))
            ]
        found = []
        for share in shares:
            part = self._loss_fn(*share)
            if not isinstance(part, Tensor) or part.ndim != 1:
                raise self._apart_refusal("it does not return one loss for each example of either batch")
            found.append(part)
        return torch.cat(found)

    def _apart_refusal(self, problem: str) -> UnsupportedModelError:
        name = getattr(self._loss_fn, "__name__", type(self._loss_fn).__name__)
        why = f"it cannot be called on each of two batches that passed together: {problem}"
        return UnsupportedModelError("loss_fn", name, why, "use estimator='auto'")


def may_join(losses: Losses) -> bool:
    """Return whether two batches may pass the model as one, because the losses see each by itself."""
    return isinstance(losses, _PairLosses)


def example_losses(losses: Losses, model: Any, batch: Batch, train_size: int | None = None) -> Tensor:
    """Return one loss per example, [B].

    Args:
        losses: Maps (model, batch) to them.
        model: The model.
        batch: What to evaluate.
        train_size: How many examples come first where it is a train and a meta batch; None for a single one.

    Raises:
        InputError: The loss function returned anything else, such as the mean over the batch.
    """
    size = batch_size(batch)
    # losses may take the labels out of a dict before they call the model, as those of transformers do
    given = rebuilt(batch, dict(batch)) if isinstance(batch, Mapping) else batch
    if train_size is not None and isinstance(losses, _PairLosses):
        found = losses.apart(model, given, train_size)
    else:
        found = losses(model, given)
    name, remedy = ("loss_fn", _REMEDY) if isinstance(losses, _PairLosses) else ("losses", _LOSSES_REMEDY)
    if not isinstance(found, Tensor):
        raise InputError(name, type(found).__name__, "no tensor of losses", "return one loss each, [B]")
    if found.shape != (size,):
        shape = f"a loss of shape {tuple(found.shape)}"
        raise InputError(name, shape, f"{size} examples want one loss each", remedy)
    if not found.is_floating_point():
        raise InputError(name, found.dtype, "no differentiable loss", "return a floating-point loss")
    return found


@contextmanager
def replaced_tensors(module: nn.Module, values: Parameters) -> Iterator[None]:
    """Put other tensors in the places of a module's parameters and buffers, inside the block.

    Whatever the module or code around it writes into its buffers inside, by assignment too, is gone after.

    Args:
        module: The network; wrappers around it see the same places.
        values: By name; a tensor that has several names goes by its first.
    """
    first: dict[int, str] = {}
    places = [
        (held, name, tensor, f"{path}.{name}" if path else name)
        for path, part in module.named_modules()
        for held in (part._parameters, part._buffers)
        for name, tensor in held.items()
        if tensor is not None
    ]
    replaced = [
        (held, name, tensor, values[known])
        for held, name, tensor, place in places
        if (known := first.setdefault(id(tensor), place)) in values
    ]
    try:
        for held, name, _, value in replaced:
            held[name] = value
        yield
    finally:
        for held, name, tensor, _ in replaced:
            held[name] = tensor


def copied_buffers(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of the module's buffers, for a forward that must not write them."""
    return {name: buffer.detach().clone() for name, buffer in module.named_buffers()}


@torch.no_grad()
def restore_buffers(module: nn.Module, copies: Mapping[str, Tensor]) -> None:
    """Write back what `copied_buffers` returned, into the buffers that are still there."""
    for name, buffer in module.named_buffers():
        before = copies.get(name)
        if before is not None and before.shape == buffer.shape:
            buffer.copy_(before)
        elif before is not None:  # a table that grew
            buffer.data = before


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the module's trainable parameters by name.

    Raises:
        InputError: There are none, or one is complex.
    """
    found = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    if not found:
        raise InputError(
            "model", type(module).__name__, "no parameter to train", "set requires_grad on some of them"
        )
    for name, parameter in found.items():
        if parameter.is_complex():
            problem, remedy = (
                "it is complex",
                "train its real and imaginary parts, as torch.view_as_real gives",
            )
            raise InputError("model", name, problem, remedy)
    return found


def gradients_of(total: Tensor, parameters: Parameters, *, retain_graph: bool = False) -> dict[str, Tensor]:
    """Compute the gradients of a scalar by plain autograd, dense, zero where it does not depend on one."""
    if not total.requires_grad:
        return {name: torch.zeros_like(value) for name, value in parameters.items()}
    parts = torch.autograd.grad(
        total, tuple(parameters.values()), retain_graph=retain_graph, allow_unused=True
    )
    return {
        name: torch.zeros_like(value) if part is None else part.to_dense() if part.is_sparse else part
        for (name, value), part in zip(parameters.items(), parts, strict=True)
    }


def graph_nodes(tensors: list[Tensor]) -> Iterator[Any]:
    """Yield each node of the autograd graph that tensors end, once."""
    nodes: list[Any] = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        yield node
        below = {parent for parent, _ in node.next_functions if parent is not None} - seen
        seen |= below
        nodes += below


def trainable(module: nn.Module) -> dict[str, Tensor]:
    """Return the module's trainable parameters by name, detached and asking for gradients of their own.

    Raises:
        InputError: There are none, or one is complex.
    """
    return {name: value.detach().requires_grad_() for name, value in trained_parameters(module).items()}


@contextmanager
def untouched_gradients(module: nn.Module) -> Iterator[None]:
    """Leave parameters' gradients as they were, also where a forward inside goes backward itself."""
    own = [(parameter, parameter.grad) for parameter in module.parameters()]
    for parameter, _ in own:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in own:
            parameter.grad = gradient
