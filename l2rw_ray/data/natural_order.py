"""Natural order of names: 2 before 10, as people count."""

import math
import re
from collections.abc import Iterable

_NUMBER = re.compile(r"([0-9]+)")


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Return names sorted: by value if all are numbers, else with the numbers in them by value."""
    listed = sorted(names)
    values = [_value(name) for name in listed]
    if all(value is not None for value in values):
        return [name for _, name in sorted(zip(values, listed, strict=True))]
    return sorted(listed, key=_parts)


def _value(name: str) -> float | None:
    try:
        value = float(name)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _parts(name: str) -> list[tuple[str, int]]:
    """Return text and numbers of a name in turn, which are compared as such."""
    pieces = _NUMBER.split(name)  # text, number, text, …
    return [(text, int(number)) for text, number in zip(pieces[::2], [*pieces[1::2], "0"], strict=True)]
