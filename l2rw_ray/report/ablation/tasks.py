"""One figure per arm over several data sources, where a study has them."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from l2rw_ray.report.comparisons.contrast import Contrast, in_common, lines_of
from l2rw_ray.report.design_points.design_point import Cell
from l2rw_ray.report.design_points.labels import MEASURES
from l2rw_ray.report.design_points.setting import Factor
from l2rw_ray.report.document.table import Entry, Line, Table
from l2rw_ray.statistics.aggregates import interquartile_mean_interval

SOURCE = "data.source"
_SEED = 0  # of the resampling


def tasks_table(contrast: Contrast, arms: Sequence[str], cells: Sequence[Cell], figure: str) -> Table | None:
    """Interquartile mean over sources; None with fewer than two, or of figures without a common scale.

    Args:
        contrast: What is compared.
        arms: Methods in plan order.
        cells: Design points.
        figure: Name of the headline figure.
    """
    measure = MEASURES[figure]
    sources = list(dict.fromkeys(cell.setting.level(SOURCE) for cell in cells))
    if len(sources) < 2 or not measure.is_share:
        return None
    lines = []
    measured = [cell for cell in cells if figure in cell.samples]
    found_lines = lines_of(contrast, arms, measured, Factor(SOURCE, tuple(sources)))
    for arm, own in found_lines.items():
        groups = [[cell for cell in own if cell.setting.level(SOURCE) == source] for source in sources]
        tasks = [_figures(group, figure) for group in in_common(groups, SOURCE)]
        if all(tasks):
            found = interquartile_mean_interval(tasks, np.random.default_rng(_SEED))
            seeds = found.n if found.is_conclusive else None
            lines.append(Line(arm, (Entry(measure.text(found.mean), measure.limits(found), seeds),)))
    return Table(
        key="tasks",
        title=f"Over all data sources: {measure.label}",
        corner="arm",
        columns=(f"interquartile mean ({measure.unit})",),
        lines=tuple(lines),
        note=(
            f"Mean of the middle half of all figures of {len(sources)} sources, one for each seed; 95 % "
            "bootstrap interval, seeds resampled within each source (Agarwal et al. 2021), too narrow with "
            "few. The sources are fixed: nothing is said of others. n: the fewest seeds of a source."
        ),
    )


def _figures(cells: Sequence[Cell], figure: str) -> list[float]:
    """The figure by seed, averaged over the other factors; seeds that all cells have."""
    samples = [cell.samples[figure] for cell in cells]
    shared = sorted(set(samples[0]).intersection(*samples[1:])) if samples else []
    return [fmean(sample[seed] for sample in samples) for seed in shared]
