"""Published figures beside those of the study."""

import json
from collections.abc import Sequence
from typing import Any

from l2rw_ray.config import StudySpec
from l2rw_ray.config.design.published import PublishedFigure, PublishedTable
from l2rw_ray.report.design_points.arms import method_at
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.labels import MINUS, MetricSpec, metric_spec_for
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.document.interval_cells import mean_cell
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.report.document.wording import capitalised

_DIGITS = 2


def published_tables(spec: StudySpec, points: Sequence[DesignPoint]) -> tuple[Table, ...]:
    """Return a table for each of the study's `published` sections.

    Args:
        spec: The study.
        points: Its design points.
    """
    return tuple(
        _table(published, f"published-{number + 1}", spec, points)
        for number, published in enumerate(spec.published)
    )


def _table(published: PublishedTable, key: str, spec: StudySpec, points: Sequence[DesignPoint]) -> Table:
    metric = metric_spec_for(published.metric)
    rows = tuple(
        _row(figure, published.metric, metric, [point for point in points if _is_at(spec, point, figure)])
        for figure in published.figures
    )
    note = "What is behind ± is as the paper has it, which need not be an interval over seeds."
    return Table(
        key=key,
        title=f"{capitalised(metric.heading)} beside {published.source}",
        corner="design point",
        columns=("published", "this study", "difference"),
        rows=rows,
        note=f"{published.conditions} {note}" if published.conditions else note,
    )


def _row(figure: PublishedFigure, name: str, metric: MetricSpec, own: Sequence[DesignPoint]) -> TableRow:
    at = Setting(tuple(figure.at.items()))
    label = f"{figure.method}, {at.text}" if figure.at else figure.method
    spread = "" if figure.spread is None else f"± {figure.spread:g}"
    given = TableCell(f"{figure.value:g}", spread)
    if len(own) != 1:
        why = "not in this study" if not own else f"{len(own)} settings of this study fit"
        return TableRow(label, (given, TableCell("–", why), TableCell("–")))
    interval = own[0].intervals.get(name)
    if interval is None:
        return TableRow(label, (given, TableCell("–", "no trial has it"), TableCell("–")))
    difference = interval.mean * metric.scale - figure.value
    sign = "+" if difference >= 0 else MINUS
    return TableRow(
        label, (given, mean_cell(metric, interval), TableCell(f"{sign}{abs(difference):.{_DIGITS}f}"))
    )


def _is_at(spec: StudySpec, point: DesignPoint, figure: PublishedFigure) -> bool:
    """Return whether a design point is of the figure's method, and at its levels."""
    levels = dict(point.setting.levels)
    return method_at(spec, point.method, point.setting) == figure.method and all(
        path in levels and levels[path] in (value, _as_text(value)) for path, value in figure.at.items()
    )


def _as_text(value: Any) -> str:
    return json.dumps(value)
