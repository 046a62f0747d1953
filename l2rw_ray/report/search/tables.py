"""Tables of a search, and all its configurations as CSV."""

from collections.abc import Sequence

from l2rw_ray.report.document.csv_text import csv_text
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.report.search.summary import Configuration, SearchSummary, value_text

_MAX_ROWS = 15


def search_tables(summary: SearchSummary) -> list[Table]:
    """Return the Pareto front of several goals and the best configurations; nothing if none completed."""
    if not summary.measured:
        return []
    tables = []
    if len(summary.goals) > 1:
        note = "No other configuration is as good in every goal and better in one."
        tables.append(_table(summary, "front", "Pareto front", summary.front, note))
    shown = summary.ranked[:_MAX_ROWS]
    title = f"The best {len(shown)} of {len(summary.configurations)} configurations"
    note = (
        f"By {summary.goals[0].metric_spec.label}. The test metric is shown for the best one only: "
        "choosing by test metrics would bias them."
    )
    tables.append(_table(summary, "best", title, shown, note))
    return [*tables, *([summary.importance] if summary.importance else [])]


def _table(summary: SearchSummary, key: str, title: str, shown: Sequence[Configuration], note: str) -> Table:
    headings = (
        *(goal.metric_spec.heading for goal in summary.goals),
        *(parameter.name for parameter in summary.parameters),
        summary.metric_spec.heading,
    )
    return Table(
        key=key,
        title=title,
        corner="configuration",
        columns=headings,
        rows=tuple(TableRow(str(each.number), _cells(summary, each)) for each in shown),
        note=note,
    )


def _cells(summary: SearchSummary, each: Configuration) -> tuple[TableCell, ...]:
    is_best = each is summary.front[0]
    goal_values = (
        TableCell(goal.metric_spec.text(value), is_clear=is_best and place == 0)
        for place, (goal, value) in enumerate(zip(summary.goals, each.goal_values, strict=True))
    )
    values = (
        TableCell(value_text(path, each.values[path]) if path in each.values else "–")
        for path in (parameter.path for parameter in summary.parameters)
    )
    test = summary.metric_spec.text(each.test) if is_best and each.test is not None else ""
    return (*goal_values, *values, TableCell(test))


def search_csv(summary: SearchSummary) -> str:
    """Return a row per configuration as CSV, at full precision and in the units of the ledger."""
    paths = [parameter.path for parameter in summary.parameters]
    goals = [goal.metric for goal in summary.goals]
    rows = (
        [
            each.number,
            each.status,
            each.seeds,
            *(each.values.get(path, "") for path in paths),
            *(each.goal_values or [""] * len(goals)),
        ]
        for each in summary.configurations
    )
    return csv_text(["configuration", "status", "seeds", *paths, *goals], rows)
