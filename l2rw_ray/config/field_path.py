"""Paths of fields as keys of a mapping, such as the factors of a design."""

from typing import Annotated, Any, get_args, get_origin

_MARK = "field path"
FieldPath = Annotated[str, _MARK]
"""Dotted path of a field, relative to `trial`, such as `optim.lr`."""


def has_paths(mapping: Any) -> bool:
    """Return whether the keys of an annotated mapping are field paths rather than names."""
    key = get_args(mapping)[0]
    return get_origin(key) is Annotated and _MARK in get_args(key)
