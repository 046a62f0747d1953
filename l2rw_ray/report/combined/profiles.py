"""Performance profiles: in how many tasks each method comes how close to the best.

Source: Dolan & Moré 2002, "Benchmarking optimization software with performance profiles". Distances to the
best replace ratios for shares, since accuracies are compared by their difference.
"""

import math
from collections.abc import Mapping, Sequence

from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.combined.summary import StudySummary
from l2rw_ray.report.design_points.labels import MetricSpec, metric_spec_for
from l2rw_ray.report.document.table import Table, TableCell, TableRow

_POINTS = (0.0, 0.01, 0.02, 0.05, 0.1)
"""Distances of a share, as fractions."""
_RATIOS = (0.0, 0.01, 0.05, 0.1, 0.5)
"""Distances of any other metric, as fractions of the best."""
_FEWEST_METHODS = 2
_FEWEST_STUDIES = 2
_ROUNDING = 1e-9
Task = Mapping[str, float]
"""The mean over seeds of each method in one setting of one study."""


def profile_tables(studies: Sequence[StudySummary]) -> tuple[Table, ...]:
    """Return a table for each headline metric that studies share, of the methods that all of its tasks have.

    A task is a setting of a study. Means over seeds are compared, so that chance decides between methods that
    are close.

    Args:
        studies: The studies.
    """
    tasks: dict[str, dict[str, list[Task]]] = {}
    for study in studies:
        if isinstance(study.summary, Ablation) and len(study.summary.methods) > 1:
            own = _tasks(study.summary)
            if own:
                tasks.setdefault(study.summary.metric, {})[study.key] = own
    found = (_table(metric, by_study) for metric, by_study in tasks.items())
    return tuple(table for table in found if table is not None)


def _tasks(summary: Ablation) -> list[Task]:
    """Return the settings of a study in which several methods were run."""
    by_setting: dict[object, dict[str, float]] = {}
    for point in summary.points:
        if summary.metric in point.intervals:
            by_setting.setdefault(point.setting, {})[point.method] = point.intervals[summary.metric].mean
    return [values for values in by_setting.values() if len(values) >= _FEWEST_METHODS]


def _table(metric: str, by_study: Mapping[str, Sequence[Task]]) -> Table | None:
    tasks = [task for own in by_study.values() for task in own]
    methods = [name for name in tasks[0] if all(name in task for task in tasks)]
    if len(by_study) < _FEWEST_STUDIES or len(methods) < _FEWEST_METHODS:
        return None
    metric_spec = metric_spec_for(metric)
    rows = []
    for name in methods:
        behind = [_behind(task, methods, name, metric_spec) for task in tasks]
        reached = [sum(own <= most + _ROUNDING for own in behind) for most in _distances(metric_spec)]
        rows.append(TableRow(name, tuple(TableCell(f"{number} of {len(tasks)}") for number in reached)))
    return Table(
        key=f"profiles-{metric.replace('_', '-')}",
        title=f"How close each method comes to the best of them, in {metric_spec.label}",
        corner="method",
        columns=tuple(_heading(most, metric_spec) for most in _distances(metric_spec)),
        rows=tuple(rows),
        note=(
            f"Tasks: the settings of {', '.join(by_study)}; of methods, those that all of them have. Means "
            "over seeds are compared: chance decides between methods that are close, and settings of one "
            "study share their data. A task counts in a column if the method is no further from the best."
        ),
    )


def _distances(metric_spec: MetricSpec) -> tuple[float, ...]:
    return _POINTS if metric_spec.is_share else _RATIOS


def _behind(task: Task, methods: Sequence[str], name: str, metric_spec: MetricSpec) -> float:
    """Return how far a method is behind the best of some methods, relative to it unless it is a share."""
    values = [task[each] for each in methods]
    best = min(values) if metric_spec.less_is_better else max(values)
    gap = abs(task[name] - best)
    if metric_spec.is_share or not gap:
        return gap
    return gap / abs(best) if best else math.inf


def _heading(most: float, metric_spec: MetricSpec) -> str:
    if not most:
        return "best"
    unit = "%" if not metric_spec.is_share else "point" if most == 0.01 else "points"
    return f"within {100 * most:g} {unit}"
