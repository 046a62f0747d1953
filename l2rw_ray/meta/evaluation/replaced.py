"""Replacing the forward of some layers for the duration of a pass."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized


@contextmanager
def replaced_forwards(calls: Mapping[nn.Module, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Call something else instead of layers' own forward, inside the block.

    Args:
        calls: What to call, by layer.
    """
    own = {layer: vars(layer)["forward"] for layer in calls if "forward" in vars(layer)}
    try:
        for layer, call in calls.items():
            vars(layer)["forward"] = call
        yield
    finally:
        for layer in calls:
            vars(layer).pop("forward", None)
        for layer, call in own.items():
            vars(layer)["forward"] = call


def computes_as(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Return whether a layer's forward is that of a type: neither its class nor the layer itself changes it.

    A subclass may override how it is built, shown and filled, and nothing else.
    """
    if not isinstance(layer, kind) or "forward" in vars(layer):
        return False
    classes = type(layer).__mro__
    changed = {name for owner in classes[: classes.index(kind)] for name in vars(owner)}
    return not any(
        hasattr(kind, name) and not name.startswith("__") and name not in _HARMLESS for name in changed
    )


_HARMLESS = ("reset_parameters", "extra_repr")


def unexpected_parameter(layer: nn.Module) -> str | None:
    """Return the first parameter that is no weight or bias, or a weight or bias that the layer does not hold.

    A hook makes such a weight of other parameters (pruning, weight normalisation): a rule for the
    layer's type, which looks at weight and bias alone, would be wrong.

    Args:
        layer: A layer of a type that has weight and bias, or some of them.
    """
    own, known = layer._parameters, ("weight", "bias")
    unexpected = [name for name in own if name not in known]
    # a parametrised one is no attribute to look at: computing it may write buffers, as spectral norm's does
    unexpected += [
        name
        for name in known
        if is_parametrized(layer, name) or getattr(layer, name, None) is not own.get(name)
    ]
    return unexpected[0] if unexpected else None
