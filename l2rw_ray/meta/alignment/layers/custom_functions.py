"""Custom autograd functions of parameters, such as the rounding of a straight-through estimator.

`torch.autograd.Function.apply` does not ask its arguments' types what to do.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.autograd import Function

from l2rw_ray.meta.alignment.layers.expression import ParameterExpression


@contextmanager
def custom_functions_on(is_on: bool) -> Iterator[None]:
    """Treat custom autograd functions of expressions like any other function, inside the block.

    Args:
        is_on: Whether to; otherwise nothing is done.
    """
    if not is_on:
        yield
        return
    own = vars(Function)["apply"]

    def apply(cls: type[Function], *args: Any, **kwargs: Any) -> Any:
        function = own.__get__(None, cls)
        if not any(isinstance(value, ParameterExpression) for value in args):
            return function(*args, **kwargs)
        types = {type(value) for value in args}
        return ParameterExpression.__torch_function__(_Custom(cls.__name__, function), types, args, kwargs)

    Function.apply = classmethod(apply)
    try:
        yield
    finally:
        Function.apply = own


class _Custom:
    """A custom autograd function as one to be looked up by name, which finds no rule.

    Args:
        name: Of its class.
        function: Its `apply`.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.__name__, self._function = f"autograd.Function {name}", function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)
