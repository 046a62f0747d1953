"""One metric per arm over several data sources, where a study has them."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from l2rw_ray.report.comparisons.contrast import Contrast, in_common, lines_of
from l2rw_ray.report.design_points.design_point import Cell
from l2rw_ray.report.design_points.labels import METRICS
from l2rw_ray.report.design_points.setting import Factor
from l2rw_ray.report.document.table import Entry, Line, Table
from l2rw_ray.statistics.aggregates import interquartile_mean_interval

SOURCE = "data.source"
_SEED = 0  # of the resampling


def tasks_table(contrast: Contrast, arms: Sequence[str], cells: Sequence[Cell], metric: str) -> Table | None:
    """Interquartile mean over sources; None with fewer than two, or of metrics without a common scale.

    Args:
        contrast: What is compared.
        arms: Methods in plan order.
        cells: Design points.
        metric: Name of the headline metric.
    """
    metric_spec = METRICS[metric]
    sources = list(dict.fromkeys(cell.setting.level(SOURCE) for cell in cells))
    if len(sources) < 2 or not metric_spec.is_share:
        return None
    lines = []
    measured = [cell for cell in cells if metric in cell.by_seed]
    found_lines = lines_of(contrast, arms, measured, Factor(SOURCE, tuple(sources)))
    for arm, own in found_lines.items():
        groups = [[cell for cell in own if cell.setting.level(SOURCE) == source] for source in sources]
        tasks = [_values(group, metric) for group in in_common(groups, SOURCE)]
        if all(tasks):
            found = interquartile_mean_interval(tasks, np.random.default_rng(_SEED))
            seeds = found.n if found.is_conclusive else None
            lines.append(Line(arm, (Entry(metric_spec.text(found.mean), metric_spec.limits(found), seeds),)))
    return Table(
        key="tasks",
        title=f"Over all data sources: {metric_spec.label}",
        corner="arm",
        columns=(f"interquartile mean ({metric_spec.unit})",),
        lines=tuple(lines),
        note=(
            f"Mean of the middle half of all figures of {len(sources)} sources, one for each seed; 95 % "
            "bootstrap interval, seeds resampled within each source (Agarwal et al. 2021), too narrow with "
            "few. The sources are fixed: nothing is said of others. n: the fewest seeds of a source."
        ),
    )


def _values(cells: Sequence[Cell], metric: str) -> list[float]:
    """The metric by seed, averaged over the other factors; seeds that all cells have."""
    by_seed = [cell.by_seed[metric] for cell in cells]
    shared = sorted(set(by_seed[0]).intersection(*by_seed[1:])) if by_seed else []
    return [fmean(values[seed] for values in by_seed) for seed in shared]
