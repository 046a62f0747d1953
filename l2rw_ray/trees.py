"""Pytrees of tensors that hold one row per example, such as a batch or the inputs of a set.

A tree is a tensor, a mapping (a dict, a tokenizer's BatchEncoding), a list, a tuple, a dataclass, or any of
these inside another. Tensors without dimensions and other values are constants.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

Tree = Any
"""A tensor, or a pytree of tensors."""
Shapes = Any
"""The shape of one example, (channels, height, width) or so; of a tree a dict or tuple of its parts'."""


def tensors_of(tree: Tree) -> Iterator[Tensor]:
    """Iterate over a tree's tensors that have rows."""
    if isinstance(tree, Tensor):
        if tree.ndim:
            yield tree
    else:
        parts = tree if isinstance(tree, list | tuple) else [part for _, part in _parts(tree)]
        for part in parts:
            yield from tensors_of(part)


def map_tensors(tree: Tree, change: Callable[[Tensor], Tensor]) -> Tree:
    """Return a tree of the same structure whose tensors with rows are changed."""
    if isinstance(tree, Tensor):
        return change(tree) if tree.ndim else tree
    if isinstance(tree, Mapping):
        return rebuilt(tree, {key: map_tensors(value, change) for key, value in tree.items()})
    if isinstance(tree, list | tuple):
        return rebuilt(tree, [map_tensors(part, change) for part in tree])
    if is_record(tree):
        names = [field.name for field in dataclasses.fields(tree) if field.init]
        return dataclasses.replace(tree, **{name: map_tensors(getattr(tree, name), change) for name in names})
    return tree


def named_leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    """Iterate over all that a tree holds, tensors and constants, each with its path, as in `inputs.mask`.

    Args:
        tree: The tree.
        path: Its own path; none for the parts' keys alone.
    """
    if isinstance(tree, Mapping | list | tuple) or is_record(tree):
        for name, part in _parts(tree):
            yield from named_leaves(part, f"{path}.{name}" if path else name)
    else:
        yield path, tree


def shapes_of(tree: Tree) -> Shapes:
    """Return the shape of one example of a tensor; of a tree those of its parts, in a dict or a tuple."""
    if isinstance(tree, Tensor):
        return tuple(tree.shape[1:])
    shapes = {name: shapes_of(part) for name, part in _parts(tree)}
    return tuple(shapes.values()) if isinstance(tree, list | tuple) else shapes


def rebuilt(container: Any, parts: Any) -> Any:
    """Return a mapping, list or tuple of the same kind with other parts."""
    if isinstance(container, Mapping):
        made: Any = copy.copy(container)
        for key, value in parts.items():
            made[key] = value
        return made
    if isinstance(container, tuple) and hasattr(container, "_fields"):
        return type(container)(*parts)
    return type(container)(parts)


def is_record(value: Any) -> bool:
    """Return whether a value is an instance of a dataclass."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _parts(tree: Any) -> list[tuple[str, Any]]:
    """Return what a container holds, by key, position or field; nothing of anything else."""
    if isinstance(tree, Mapping):
        return [(str(key), value) for key, value in tree.items()]
    if isinstance(tree, list | tuple):
        return [(str(place), part) for place, part in enumerate(tree)]
    if is_record(tree):
        return [(field.name, getattr(tree, field.name)) for field in dataclasses.fields(tree)]
    return []
