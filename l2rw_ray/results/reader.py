"""Reading a study's ledger into Arrow tables."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.folder import PlanRow, StudyFolder
from l2rw_ray.results.schema import SCHEMA

FACTOR = "factor."
_ROW_COLUMNS = [name for name in SCHEMA.names if name != "history"]


def read_study(directory: Path | str, everything: bool = False) -> pa.Table:
    """The finished trials of a study, a row per trial that its current plan names, in plan order.

    Args:
        directory: The study folder.
        everything: Append trials of earlier plans, which have no factors.

    Returns:
        The ledger's columns but `history`, and `factor.<path>` for each design factor: a number,
        text or boolean column where the levels are of one kind, else JSON text.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file is unreadable.
    """
    folder = StudyFolder(Path(directory))
    plan = folder.read_plan()
    ledger = _read(folder, _ROW_COLUMNS)
    planned = _planned_rows(ledger, plan)
    if not everything:
        return planned
    names = {row.trial_id for row in plan}
    extra = [row for row, trial_id in enumerate(ledger["trial_id"].to_pylist()) if trial_id not in names]
    return pa.concat_tables([planned, _take(ledger, extra)], promote_options="default")


def read_history(directory: Path | str) -> pa.Table:
    """The epochs of the trials that `read_study` returns, a row per trial and epoch.

    Returns:
        `trial_id`, `seed`, `factor.<path>` …, `epoch`, `step`, `duration_s` and a float column per
        metric, null where an epoch does not have it.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file is unreadable.
    """
    folder = StudyFolder(Path(directory))
    ledger = _planned_rows(_read(folder, ["trial_id", "seed", "history"]), folder.read_plan())
    history = ledger["history"].combine_chunks()
    epochs, owner = history.flatten(), pc.list_parent_indices(history)
    columns = {name: ledger[name].take(owner) for name in ledger.column_names if name != "history"}
    for name in ("epoch", "step", "duration_s"):
        columns[name] = pc.struct_field(epochs, name)
    metrics = pc.struct_field(epochs, "metrics")
    for name in sorted(set(metrics.keys.to_pylist())):
        columns[name] = pc.map_lookup(metrics, name, "first")
    return pa.table(columns)


def finished(directory: Path | str) -> dict[str, tuple[str, str | None]]:
    """Status, and for stopped trials the reason, of every trial in the ledger, by trial id.

    Raises:
        StudyFolderError: A trial's file is unreadable.
    """
    ledger = _read(StudyFolder(Path(directory)), ["trial_id", "status", "reason"])
    columns = (ledger[name].to_pylist() for name in ("trial_id", "status", "reason"))
    return {trial_id: (status, reason) for trial_id, status, reason in zip(*columns, strict=True)}


def completed_figures(directory: Path | str, name: str) -> dict[str, tuple[float, float | None]]:
    """Duration in seconds, and one figure, of every completed trial in the ledger, by trial id.

    Args:
        directory: The study folder.
        name: A column of the ledger, or a figure in its column `metrics`.

    Raises:
        StudyFolderError: A trial's file is unreadable.
    """
    has_column = name in SCHEMA.names
    columns = ["trial_id", "duration_s", name if has_column else "metrics"]
    ledger = _read(StudyFolder(Path(directory)), ["status", *columns])
    completed = ledger.filter(pc.field("status") == "completed")
    ids, durations_s, figures = (completed[column] for column in columns)
    values = figures if has_column else pc.map_lookup(figures, name, "first")
    rows = zip(ids.to_pylist(), durations_s.to_pylist(), values.to_pylist(), strict=True)
    return {trial_id: (duration_s, value) for trial_id, duration_s, value in rows}


def _read(folder: StudyFolder, columns: list[str]) -> pa.Table:
    """The given columns of all trial files; columns that an older file lacks are null."""
    paths = sorted(str(path) for path in folder.trials.glob("*.parquet"))
    wanted = pa.schema([SCHEMA.field(name) for name in columns])
    if not paths:
        return wanted.empty_table()
    try:
        return ds.dataset(paths, schema=wanted, format="parquet").to_table()
    except (pa.ArrowException, OSError) as error:
        raise _broken(paths, columns, error) from error


def _broken(paths: Sequence[str], columns: list[str], error: Exception) -> StudyFolderError:
    """The error that names the first file which cannot be read on its own."""
    culprit = next((path for path in paths if not _readable(path, columns)), paths[0])
    reason = str(error).splitlines()[0]
    return StudyFolderError(
        "trial file", culprit, f"unreadable ({reason})", "delete it to run its trial again"
    )


def _readable(path: str, columns: list[str]) -> bool:
    try:
        pq.ParquetFile(path).read(columns=columns)
    except (pa.ArrowException, OSError):
        return False
    return True


def _planned_rows(ledger: pa.Table, plan: Sequence[PlanRow]) -> pa.Table:
    """The plan's finished trials in its order, with a column per factor.

    Types of factors follow the whole plan, so that a study's progress cannot change them.
    """
    found = {trial_id: row for row, trial_id in enumerate(ledger["trial_id"].to_pylist())}
    done = [row for row in plan if row.trial_id in found]
    table = _take(ledger, [found[row.trial_id] for row in done])
    for path in dict.fromkeys(path for row in plan for path in row.factors):
        kind = _factor_type([row.factors.get(path) for row in plan])
        values = [_as_level(row.factors.get(path), kind) for row in done]
        table = table.append_column(FACTOR + path, pa.array(values, kind or pa.string()))
    return table


def _take(table: pa.Table, rows: Sequence[int]) -> pa.Table:
    return table.take(pa.array(rows, pa.int64()))


def _factor_type(levels: Sequence[Any]) -> pa.DataType | None:
    """The common Arrow type of a factor's levels, None where they have none."""
    kinds = {type(level) for level in levels if level is not None}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    if kinds and kinds <= {int, float}:
        return pa.float64()
    return pa.string() if kinds == {str} else None


def _as_level(level: Any, kind: pa.DataType | None) -> Any:
    return json.dumps(level, sort_keys=True) if kind is None else level
