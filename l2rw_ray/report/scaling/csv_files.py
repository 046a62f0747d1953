"""All points of a scaling report as CSV, at full precision and in the units of the ledger."""

import csv
import io
from collections.abc import Iterator

from l2rw_ray.report.scaling.points import (
    BATCH,
    ESTIMATOR,
    FAMILY,
    MEASURED,
    META,
    PARAMETERS,
    TRAIN,
    UPDATES,
    WORKERS,
    ScalingPoint,
)
from l2rw_ray.report.scaling.summary import ScalingSummary

_ALWAYS = (FAMILY, ESTIMATOR, BATCH, META, TRAIN, UPDATES, WORKERS, PARAMETERS)


def scaling_csv(summary: ScalingSummary) -> str:
    """Return a row per point: its facets, and number of seeds, mean and 95 % limits by metric."""
    levels = [dict(point.facets.levels) for point in summary.points]
    paths = sorted({path for each in levels for path in each})
    varied = [path for path in paths if len({each.get(path) for each in levels}) > 1]
    shown = list(dict.fromkeys([*_ALWAYS, *varied]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    suffixes = ("n", "mean", "low", "high")
    columns = [f"{name}_{suffix}" for name in MEASURED for suffix in suffixes]
    writer.writerow(["model.name", "method.name", *shown, "bound", "timing_usable", *columns])
    for point, own in zip(summary.points, levels, strict=True):
        known = [own.get(path, "") for path in shown]
        bound = "" if point.bound is None else point.bound
        writer.writerow([point.model, point.method, *known, bound, point.timing_usable, *_numbers(point)])
    return text.getvalue()


def _numbers(point: ScalingPoint) -> Iterator[object]:
    """Yield the fields of each metric, empty if the metric or its limits are missing."""
    for name in MEASURED:
        interval = point.intervals.get(name)
        if interval is None:
            yield from ("", "", "", "")
        elif interval.is_conclusive:
            yield from (interval.n, interval.mean, interval.low, interval.high)
        else:
            yield from (interval.n, interval.mean, "", "")
