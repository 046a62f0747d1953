"""The headline metric of each method, aggregated over several data sources."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from l2rw_ray.report.comparisons.contrast import Contrast, in_common, lines_of
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.labels import metric_spec_for
from l2rw_ray.report.design_points.setting import Factor
from l2rw_ray.report.document.interval_cells import mean_cell
from l2rw_ray.report.document.table import Table, TableRow
from l2rw_ray.statistics.aggregates import interquartile_mean_interval

SOURCE = "data.source"
_SEED = 0  # of the resampling


def tasks_tables(
    contrast: Contrast, methods: Sequence[str], points: Sequence[DesignPoint], metric: str
) -> tuple[Table, ...]:
    """Return the interquartile mean over sources; nothing with one source, or without a common scale.

    Args:
        contrast: What is compared.
        methods: Methods in plan order.
        points: Design points.
        metric: Name of the headline metric.
    """
    metric_spec = metric_spec_for(metric)
    sources = list(dict.fromkeys(point.setting.level(SOURCE) for point in points))
    if len(sources) < 2 or not metric_spec.is_share:
        return ()
    rows = []
    measured = [point for point in points if metric in point.by_seed]
    found_lines = lines_of(contrast, methods, measured, Factor(SOURCE, tuple(sources)))
    for method, own in found_lines.items():
        groups = [[point for point in own if point.setting.level(SOURCE) == source] for source in sources]
        tasks = [_values(group, metric) for group in in_common(groups, SOURCE)]
        if all(tasks):
            found = interquartile_mean_interval(tasks, np.random.default_rng(_SEED))
            rows.append(TableRow(method, (mean_cell(metric_spec, found),)))
    table = Table(
        key="tasks",
        title=f"Over all data sources: {metric_spec.label}",
        corner="compared",
        columns=(f"interquartile mean ({metric_spec.unit})",),
        rows=tuple(rows),
        note=(
            f"Mean of the middle half of all values of {len(sources)} sources, one per seed. 95 % bootstrap "
            "interval, seeds resampled within each source (Agarwal et al. 2021); too narrow with few "
            "seeds. The sources are fixed: nothing follows for others. n: smallest number of seeds of a "
            "source."
        ),
    )
    return (table,)


def _values(points: Sequence[DesignPoint], metric: str) -> list[float]:
    """Return the value of each seed that all points share, averaged over the other factors."""
    by_seed = [point.by_seed[metric] for point in points]
    shared = sorted(set(by_seed[0]).intersection(*by_seed[1:])) if by_seed else []
    return [fmean(values[seed] for values in by_seed) for seed in shared]
