"""The summary's design points as CSV, at full precision and in the ledger's units."""

import csv
import io
from collections.abc import Iterator

from l2rw_ray.report.points import SUMMARISED
from l2rw_ray.report.summary import Ablation, Cell


def render_csv(summary: Ablation) -> str:
    """A line per design point: factors, arm, and of each figure its seeds, mean and 95 % limits."""
    shown = [name for name in SUMMARISED if any(name in cell.intervals for cell in summary.cells)]
    paths = [factor.path for factor in summary.factors]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    suffixes = ("n", "mean", "low", "high")
    columns = [f"{name}_{suffix}" for name in shown for suffix in suffixes]
    writer.writerow([*paths, "method.name", "timing_usable", *columns])
    for cell in summary.cells:
        levels = [cell.setting.level(path) for path in paths]
        writer.writerow([*levels, cell.arm, cell.timing_usable, *_figures(cell, shown)])
    return text.getvalue()


def _figures(cell: Cell, names: list[str]) -> Iterator[object]:
    """Empty fields where a figure is missing or one seed gives no limits."""
    for name in names:
        interval = cell.intervals.get(name)
        if interval is None:
            yield from ("", "", "", "")
        elif interval.is_conclusive:
            yield from (interval.n, interval.mean, interval.low, interval.high)
        else:
            yield from (interval.n, interval.mean, "", "")
