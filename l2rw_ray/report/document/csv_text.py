"""CSV at full precision."""

import csv
import io
from collections.abc import Iterable

from l2rw_ray.statistics import Interval

LIMITS = ("n", "mean", "low", "high")
"""Columns of an interval."""


def csv_text(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Return a header and rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def interval_fields(interval: Interval | None) -> tuple[object, ...]:
    """Return the fields of an interval, empty as far as it or its limits are missing."""
    if interval is None:
        return ("",) * len(LIMITS)
    limits = (interval.low, interval.high) if interval.is_conclusive else ("", "")
    return (interval.n, interval.mean, *limits)
