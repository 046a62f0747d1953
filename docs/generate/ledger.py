"""Page of the ledger: what each of its columns, and each metric, means."""

from collections.abc import Iterable, Mapping

from docs.generate.markdown import anchored, heading, table
from l2rw_ray.results.columns import COLUMNS, EVALUATED, HISTORY, MEASURED, STEPPED, Column, Metric

_INTRODUCTION = """\
A study folder holds a Parquet file for each finished trial, of one row with these columns. A metric that
a trial does not have is null; NaN is a value. [`read_study`][l2rw_ray.read_study] returns them as
one table, a row per trial of the plan, without the nested columns `history`, `weight_histograms`,
`step_series` and `confusion`. It adds a column `factor.<path>` for each factor of the design, and `stage`:
`search` for trials that were only tried to choose a configuration, else `final`.
"""
_HISTORY = """\
The column `history` is a list with an entry per epoch. [`read_history`][l2rw_ray.read_history]
returns it as a table, a row per trial and epoch: `trial_id`, `seed`, `factor.<path>` …, `epoch`, `step`,
`duration_s`, and a column for each metric.
"""
_METRICS = """\
Names of metrics are the same in the ledger, in the history and in MLflow. An evaluation reports these, with
`validation_` before the name after each epoch, with `test_` at the end of the trial:
"""
_STEPPED = "These are of an epoch's steps. The ledger has the last value of each:"
_MEASURED = "These are measured once in a trial, and are in the ledger only:"


def ledger_page() -> str:
    """Return the page, in Markdown."""
    parts = [
        heading(1, "Ledger", "ledger"),
        _INTRODUCTION,
        _columns(COLUMNS, "ledger"),
        heading(2, "History", "history"),
        _HISTORY,
        _columns(HISTORY, "history"),
        heading(2, "Metrics", "metrics"),
        _METRICS,
        _metrics(EVALUATED),
        _STEPPED,
        _metrics(STEPPED),
        _MEASURED,
        _metrics(MEASURED),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _columns(columns: Iterable[Column], page: str) -> str:
    rows = [
        [anchored(column.name, f"{page}.{column.name}"), _type(column), column.unit, column.meaning]
        for column in columns
    ]
    return table(["column", "type", "unit", "meaning"], rows)


def _type(column: Column) -> str:
    """Return the Arrow type, of a nested column without what is inside."""
    return f"`{str(column.type).partition('<')[0]}`"


def _metrics(metrics: Mapping[str, Metric]) -> str:
    rows = [
        [anchored(name, f"metrics.{name.replace('<', '').replace('>', '')}"), metric.unit, metric.meaning]
        for name, metric in metrics.items()
    ]
    return table(["metric", "unit", "meaning"], rows)
