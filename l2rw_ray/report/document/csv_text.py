"""CSV at full precision."""

import csv
import io
from collections.abc import Iterable

from l2rw_ray.printable import printable
from l2rw_ray.statistics import Interval

LIMITS = ("n", "mean", "low", "high")
"""Columns of an interval."""
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_text(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Return a header and rows as CSV.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_harmless, header))
    writer.writerows(map(_harmless, row) for row in rows)
    return text.getvalue()


def _harmless(value: object) -> object:
    """Return a value as it is, but for a text that begins like a formula and is no number."""
    if not isinstance(value, str):
        return value
    if not value.lstrip(" ").startswith(_FORMULA_SIGNS):
        return printable(value)
    try:
        float(value)
    except ValueError:
        return f"'{printable(value)}"
    return value


def interval_fields(interval: Interval | None) -> tuple[object, ...]:
    """Return the fields of an interval, empty as far as it or its limits are missing."""
    if interval is None:
        return ("",) * len(LIMITS)
    limits = (interval.low, interval.high) if interval.is_conclusive else ("", "")
    return (interval.n, interval.mean, *limits)
