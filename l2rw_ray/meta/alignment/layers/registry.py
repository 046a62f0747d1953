"""Which rule treats which layer type."""

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from l2rw_ray.meta.alignment.layers.interface import LayerCall

_Call = TypeVar("_Call", bound=type[LayerCall])
_RULES: dict[type[nn.Module], type[LayerCall]] = {}


def rule_for(*kinds: type[nn.Module]) -> Callable[[_Call], _Call]:
    """Decorator that makes a class the rule of some layer types.

    Raises:
        ValueError: One of them has a rule already.
    """

    def add(rule: _Call) -> _Call:
        for kind in kinds:
            if kind in _RULES:
                raise ValueError(f"{kind.__name__} has two rules")
            _RULES[kind] = rule
        return rule

    return add


def layer_rule(layer: nn.Module) -> type[LayerCall] | None:
    """The rule of a layer: that of its type, or of the type whose forward it inherits unchanged."""
    for kind, rule in _RULES.items():
        if type(layer) is kind:
            return rule
    for kind, rule in _RULES.items():
        if isinstance(layer, kind) and type(layer).forward is kind.forward:
            return rule
    return None


def ruled_types() -> tuple[type[nn.Module], ...]:
    """Every layer type that has a rule."""
    return tuple(_RULES)
