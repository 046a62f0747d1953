"""Named implementations of one interface."""

from collections.abc import Callable
from typing import Generic, TypeVar

from l2rw_ray.errors import InputError

_T = TypeVar("_T")


class Registry(Generic[_T]):
    """Implementations by the name that a study file uses.

    Args:
        field: The field that names one, for error messages.
    """

    def __init__(self, field: str) -> None:
        self._field = field
        self._entries: dict[str, _T] = {}

    def register(self, name: str) -> Callable[[_T], _T]:
        """Decorator that makes something the implementation called `name`.

        Raises:
            ValueError: There is one of that name already.
        """

        def add(implementation: _T) -> _T:
            if name in self._entries:
                raise ValueError(f"{self._field} {name!r} is registered twice")
            self._entries[name] = implementation
            return implementation

        return add

    def get(self, name: str) -> _T:
        """The implementation of that name.

        Raises:
            InputError: There is none.
        """
        if name not in self._entries:
            raise InputError(self._field, name, "unknown", f"use one of {', '.join(self.names())}")
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """Every registered name, sorted."""
        return tuple(sorted(self._entries))
