"""Named implementations of one interface: built-in ones by a short name, custom ones by an import path."""

from collections.abc import Callable
from typing import Generic, TypeVar, cast

from l2rw_ray.errors import InputError
from l2rw_ray.import_path import is_import_path, load, or_custom

_T = TypeVar("_T")


class Registry(Generic[_T]):
    """Implementations by their names in study files.

    Args:
        field: The field that names one, for error messages.
        import_paths: Whether custom implementations are allowed.
    """

    def __init__(self, field: str, *, import_paths: bool = False) -> None:
        self._field, self._import_paths = field, import_paths
        self._entries: dict[str, _T] = {}

    def register(self, name: str) -> Callable[[_T], _T]:
        """Return a decorator that registers an implementation under a name.

        Raises:
            ValueError: The name is already registered.
        """

        def add(implementation: _T) -> _T:
            if name in self._entries:
                raise ValueError(f"{self._field} {name!r} is registered twice")
            self._entries[name] = implementation
            return implementation

        return add

    def get(self, name: str) -> _T:
        """Return the implementation of that name, imported if the name is an import path.

        Raises:
            InputError: There is none, or it cannot be imported.
        """
        if self._import_paths and is_import_path(name):
            return cast("_T", load(name, self._field))
        if name not in self._entries:
            remedy = f"use one of {', '.join(self.names())}"
            remedy = or_custom(remedy) if self._import_paths else remedy
            raise InputError(self._field, name, "unknown", remedy)
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """Return all registered names, sorted."""
        return tuple(sorted(self._entries))
