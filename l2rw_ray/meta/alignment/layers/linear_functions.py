"""Functions that are linear in a parameter: products of matrices and einsums.

Shape suffixes: N examples of the pass, B train examples first; K rows of each; I inputs, O outputs.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from l2rw_ray.meta.alignment.layers.broadcast import broadcast
from l2rw_ray.meta.alignment.layers.expression import ParameterExpression, is_activation
from l2rw_ray.meta.alignment.layers.functions import function_rule, in_order
from l2rw_ray.meta.alignment.layers.interface import ExampleGradients
from l2rw_ray.meta.alignment.layers.linear import FactoredLinear, FormedLinear
from l2rw_ray.meta.alignment.layers.linear_gradients import recorded_operation
from l2rw_ray.meta.alignment.layers.recording import Recording
from l2rw_ray.meta.alignment.layers.rows import by_example, row_axis

Function = Callable[..., Any]


@function_rule("linear")
def linear(recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Apply a linear layer whose weight, or bias, is an expression."""
    return _linear(recording, *args, **kwargs)


def _linear(recording: Recording, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if isinstance(input, ParameterExpression):
        product: Tensor = broadcast(recording, torch.matmul, (input, weight.mT), {})
    elif not isinstance(weight, ParameterExpression):
        product = functional.linear(input, weight)  # the bias is the expression, then
    elif weight.value.ndim == 1:
        product = _product(recording, input, weight.unsqueeze(0)).squeeze(-1)
    else:
        product = _product(recording, input, weight)
    return product if bias is None else product + bias


def _product(recording: Recording, x: Tensor, weight: Tensor) -> Tensor:
    """Return x Wᵀ for activations [N·K, …, I] or [K, N, …, I]; record example gradients of W."""
    assert isinstance(weight, ParameterExpression)
    size, axis = recording.size, recording.axis(x.shape[:-1] or x.shape, weight)
    owner, call, train_size = recording.owner(weight), object(), recording.train_size
    y = functional.linear(x, weight.value.detach())
    kept = x.detach().to(y.dtype)
    has_positions = x.numel() > size * x.shape[-1]
    recording.budget.note(call, by_example(kept, axis, size), weight.value if has_positions else None)

    def noted(gradient: Tensor) -> ExampleGradients:
        x_NTI, gradient_NTO = (
            by_example(part, axis, size).reshape(size, -1, part.shape[-1]) for part in (kept, gradient)
        )
        made = owner, x_NTI, gradient_NTO, train_size
        return FormedLinear(*made) if recording.budget.grants(call) else FactoredLinear(*made)

    recording.watch(y, noted)
    return y


@function_rule("matmul", "mm", "bmm", "mv")
def matmul(recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Multiply matrices of which one is an expression: by all rows, or by each row's own."""
    if function.__name__ == "__rmatmul__":
        args = args[::-1]
    left, right = [*args, *(part for part in kwargs.values() if isinstance(part, Tensor))][:2]
    if isinstance(right, ParameterExpression) and right.ndim <= 2 and is_activation(left):
        return _linear(recording, left, right.t() if right.ndim == 2 else right)
    if isinstance(left, ParameterExpression) and left.ndim <= 2 and right.ndim > 1 and is_activation(right):
        product = _linear(recording, right.mT, left)
        return product if left.ndim == 1 else product.mT
    if (
        isinstance(right, ParameterExpression)
        and is_activation(left)
        and not _has_rows(recording, right, left)
    ):
        return recorded_operation(recording, left, right, torch.matmul)
    return broadcast(recording, torch.matmul, (left, right), {})  # type: ignore[no-any-return]


def _has_rows(recording: Recording, value: Tensor, x: Tensor) -> bool:
    """Return whether a value has a matrix for each row of an activation."""
    axis = row_axis(x.shape, recording.size)
    return axis is not None and value.ndim == x.ndim and value.shape[axis] == x.shape[axis]


@function_rule("addmm", "addbmm", "baddbmm", "addmv")
def added_product(
    recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    """Multiply matrices and add a third, of which any may be expressions."""
    added, left, right = in_order("self mat1 mat2", args, kwargs)
    if function.__name__.strip("_") == "addbmm":
        raise recording.refusal(_first(args), "addbmm of it and activations sums over the batch")
    product = torch.matmul(left, right)
    alpha, beta = kwargs.get("alpha", 1), kwargs.get("beta", 1)
    total: Tensor = (product if alpha == 1 else alpha * product) + (added if beta == 1 else beta * added)
    return total


@function_rule("bilinear")
def bilinear(
    recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    """Apply a bilinear form whose weight, or bias, is an expression."""
    named = {**dict(zip(("input1", "input2", "weight", "bias"), args, strict=False)), **kwargs}
    left, right, weight, bias = (named.get(name) for name in ("input1", "input2", "weight", "bias"))
    y = torch.einsum("...i,oij,...j->...o", left, weight, right)
    return y if bias is None else y + bias


@function_rule("einsum")
def einsum(recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Contract activations and one expression; further ones become copies for each row."""
    equation, operands = args[0], list(args[1] if isinstance(args[1], list | tuple) else args[1:])
    places = [place for place, part in enumerate(operands) if isinstance(part, ParameterExpression)]
    terms = equation.replace(" ", "").split("->")[0].split(",")
    for place in places:
        if operands[place].is_of_batch:
            operands[place] = recording.activation(operands[place])
    places = [place for place in places if isinstance(operands[place], ParameterExpression)]
    if len(places) != 1:
        if not places:
            return torch.einsum(equation, operands)
        raise recording.refusal(
            operands[places[0]], f"einsum of several parameters and activations ({equation})"
        )
    place = places[0]
    others = [part for part in operands if part is not operands[place]]
    if len(others) == 1:

        def contracted(x: Tensor, weight: Tensor) -> Tensor:
            return torch.einsum(equation, *((weight, x) if place == 0 else (x, weight)))

        return recorded_operation(recording, others[0], operands[place], contracted)
    return _contracted_several(recording, equation, terms, operands, place)


def _contracted_several(
    recording: Recording, equation: str, terms: list[str], operands: list[Tensor], place: int
) -> Tensor:
    """Contract a parameter with several activations, whose outer product stands for one."""
    weight = operands[place]
    others = [
        (term, part) for index, (term, part) in enumerate(zip(terms, operands, strict=True)) if index != place
    ]
    letters = "".join(dict.fromkeys("".join(term.replace("...", "") for term, _ in others)))
    dots = "..." if any("..." in term for term, _ in others) else ""
    product = torch.einsum(
        ",".join(term for term, _ in others) + f"->{dots}{letters}", *(p for _, p in others)
    )
    result = equation.replace(" ", "").split("->")
    output = result[1] if len(result) > 1 else None
    if output is None:
        raise recording.refusal(weight, "einsum without -> of it and several activations")  # type: ignore[arg-type]
    return torch.einsum(f"{dots}{letters},{terms[place]}->{output}", product, weight)


def _first(args: tuple[Any, ...]) -> ParameterExpression:
    return next(part for part in args if isinstance(part, ParameterExpression))
