"""Which rule treats which function of parameters and activations.

A rule is found by the function's name, so that `torch.add`, `Tensor.add`, `+` and `+=` share one.
"""

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor

if TYPE_CHECKING:
    from l2rw_ray.meta.alignment.layers.recording import Recording

Rule = Callable[["Recording", Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""(the pass's recording, function, arguments, named arguments) to the function's value."""
_Rule = TypeVar("_Rule", bound=Rule)
_RULES: dict[str, Rule] = {}
_RULES_OF_CONSTANTS: dict[str, Rule] = {}


def function_rule(*names: str) -> Callable[[_Rule], _Rule]:
    """Return a decorator that makes a function the rule of some of torch's.

    Raises:
        ValueError: One of them has a rule already.
    """

    def add(rule: _Rule) -> _Rule:
        for name in names:
            if name in _RULES:
                raise ValueError(f"{name} has two rules")
            _RULES[name] = rule
        return rule

    return add


def constants_rule(*names: str) -> Callable[[_Rule], _Rule]:
    """Return a decorator that makes a function the rule of some of torch's where no activation is met.

    It is given values, not expressions, and returns a value with a graph.
    """

    def add(rule: _Rule) -> _Rule:
        _RULES_OF_CONSTANTS.update(dict.fromkeys(names, rule))
        return rule

    return add


def rule_of(name: str) -> Rule | None:
    """Return the rule of functions of a name, if they have one."""
    return _RULES.get(name)


def rule_of_constants(name: str) -> Rule | None:
    """Return what computes functions of a name of constants, where torch's own must not."""
    return _RULES_OF_CONSTANTS.get(name)


def function_name(function: Callable[..., Any]) -> str:
    """Return the name that a function shares with its other spellings: `add` for `Tensor.__iadd__`."""
    name = getattr(function, "__name__", "").strip("_")
    return name[1:] if name[:1] in ("i", "r") and name[1:] in _ARITHMETIC else name


_ARITHMETIC = ("add", "sub", "mul", "div", "truediv", "pow", "matmul")


def is_in_place(function: Callable[..., Any]) -> bool:
    """Return whether a function writes its first argument."""
    name: str = getattr(function, "__name__", "")
    if name.startswith("__"):
        return name == "__setitem__" or (name[2] == "i" and name[3:-2] in _ARITHMETIC)
    return name.endswith("_")


def is_in_python(function: Callable[..., Any]) -> bool:
    """Return whether a function of torch is written in Python, so that it can be `opened`."""
    return isinstance(function, FunctionType)


@cache
def opened(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of torch that is written in Python, made to call what it consists of.

    Such a function hands itself over as a whole where an argument is of a type of its own; here each of
    the functions that it calls is handed over instead.
    """
    assert isinstance(function, FunctionType), "see is_in_python"
    names = {**function.__globals__, **dict.fromkeys(_GUARDS, lambda *arguments: False)}
    copy = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


_GUARDS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


def in_order(names: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Return arguments as given by position, whichever way they were; None for one that was not.

    Args:
        names: All that the function has, in order, with spaces between.
        args: Arguments by position.
        kwargs: Arguments by name.
    """
    return [*args, *(kwargs.get(name) for name in names.split()[len(args) :])]


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors among arguments, also those in lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return []
    return [tensor for part in value for tensor in tensors_in(part)]


def mapped(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Return arguments or results with each tensor among them changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {name: mapped(part, change) for name, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [mapped(part, change) for part in value]
        is_named = hasattr(value, "_fields")
        return type(value)(*parts) if is_named else type(value)(parts)
    return value
