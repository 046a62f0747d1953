"""Table cells that show a mean or a difference with its interval."""

from l2rw_ray.report.design_points.labels import MetricSpec
from l2rw_ray.report.document.table import TableCell
from l2rw_ray.statistics import Interval

EMPTY = TableCell("–")


def mean_cell(metric_spec: MetricSpec, interval: Interval | None, *, is_clear: bool = False) -> TableCell:
    """Return a mean with its limits and number of seeds, or an empty cell without an interval."""
    if interval is None:
        return EMPTY
    mean, limits = metric_spec.text(interval.mean), metric_spec.limits(interval)
    return TableCell(mean, limits, _seeds(interval), is_clear)


def difference_cell(
    metric_spec: MetricSpec, interval: Interval | None, *, is_clear: bool = False
) -> TableCell:
    """Return a difference, signed, with its limits and number of pairs, or an empty cell."""
    if interval is None:
        return EMPTY
    mean, limits = metric_spec.signed(interval.mean), metric_spec.signed_limits(interval)
    return TableCell(mean, limits, _seeds(interval), is_clear)


def _seeds(interval: Interval) -> int | None:
    return interval.n if interval.is_conclusive else None
