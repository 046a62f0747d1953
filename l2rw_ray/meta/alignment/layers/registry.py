"""Which rule treats which layer type."""

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from l2rw_ray.meta.alignment.layers.interface import LayerCall
from l2rw_ray.meta.evaluation.replaced import computes_as

_Call = TypeVar("_Call", bound=type[LayerCall])
_RULES: dict[type[nn.Module], type[LayerCall]] = {}


def rule_for(*kinds: type[nn.Module]) -> Callable[[_Call], _Call]:
    """Return a decorator that makes a class the rule of some layer types.

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
    """Return the rule of a layer: that of its type, or of the type that it computes the same as."""
    rule = _RULES.get(type(layer))
    if rule is not None:
        return rule if computes_as(layer, type(layer)) else None
    return next((rule for kind, rule in _RULES.items() if computes_as(layer, kind)), None)
