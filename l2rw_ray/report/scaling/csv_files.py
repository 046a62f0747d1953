"""All points of a scaling report as CSV, at full precision and in the units of the ledger."""

from l2rw_ray.report.document.csv_text import LIMITS, csv_text, interval_fields
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
)
from l2rw_ray.report.scaling.summary import ScalingSummary

_ALWAYS = (FAMILY, ESTIMATOR, BATCH, META, TRAIN, UPDATES, WORKERS, PARAMETERS)


def scaling_csv(summary: ScalingSummary) -> str:
    """Return a row per point: its facets, and number of seeds, mean and 95 % limits by metric."""
    levels = [dict(point.facets.levels) for point in summary.points]
    paths = sorted({path for each in levels for path in each})
    varied = [path for path in paths if len({each.get(path) for each in levels}) > 1]
    shown = list(dict.fromkeys([*_ALWAYS, *varied]))
    columns = [f"{name}_{suffix}" for name in MEASURED for suffix in LIMITS]
    rows = (
        [
            point.model,
            point.method,
            *(own.get(path, "") for path in shown),
            "" if point.bound is None else point.bound,
            point.timing_usable,
            *(field for name in MEASURED for field in interval_fields(point.intervals.get(name))),
        ]
        for point, own in zip(summary.points, levels, strict=True)
    )
    return csv_text(["model.name", "method.name", *shown, "bound", "timing_usable", *columns], rows)
