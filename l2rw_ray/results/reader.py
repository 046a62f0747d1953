"""Read a study's ledger into Arrow tables.

A damaged file counts as missing, with one warning.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.plans.plan_rows import PlanRow
from l2rw_ray.results.schema import ARRAYS, SCHEMA
from l2rw_ray.results.trial_files import read_rows
from l2rw_ray.results.trial_result import TrialResult

FACTOR = "factor."
_ROW_COLUMNS = [name for name in SCHEMA.names if name not in ("history", *ARRAYS)]


def read_study(directory: Path | str, everything: bool = False) -> pa.Table:
    """Read the finished trials of a study, a row per trial of its current plan, in plan order.

    Args:
        directory: The study folder.
        everything: Append trials of earlier plans, which have no factors.

    Returns:
        The ledger's columns except `history` and those of `ARRAYS`; `factor.<path>` for each design factor:
        a number, text or boolean column where the levels are of one kind, else JSON text; and `stage`,
        which is `search` for trials that were only tried to choose a configuration, `redrawn` for those with
        one source of randomness drawn anew, else `final`.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    folder = StudyFolder(Path(directory))
    plan = folder.read_plan()
    ledger = read_ledger(folder, _ROW_COLUMNS)
    planned = with_whole(_planned_rows(ledger, plan), "epochs")
    stages = {row.trial_id: row.stage.value for row in plan}
    own = [stages[trial_id] for trial_id in planned["trial_id"].to_pylist()]
    planned = planned.append_column("stage", pa.array(own, pa.string()))
    if not everything:
        return planned
    names = {row.trial_id for row in plan}
    extra = [row for row, trial_id in enumerate(ledger["trial_id"].to_pylist()) if trial_id not in names]
    return pa.concat_tables([planned, _take(ledger, extra)], promote_options="permissive")


def read_history(directory: Path | str) -> pa.Table:
    """Read the evaluations of the trials that `read_study` returns, a row per trial and evaluation.

    Returns:
        `trial_id`, `seed`, `factor.<path>` …, `epoch` (whole numbers, unless a trial was evaluated within an
        epoch), `step`, `duration_s` and a float column per
        metric, null where an epoch does not have it.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    columns, epochs = unnested(read_column(directory, "history"), "history")
    for name in ("epoch", "step", "duration_s"):
        columns[name] = pc.struct_field(epochs, name)
    metrics = pc.struct_field(epochs, "metrics")
    for name in sorted(set(metrics.keys.to_pylist())):
        columns[name] = pc.map_lookup(metrics, name, "first")
    return with_whole(pa.table(columns), "epoch")


def with_whole(table: pa.Table, column: str) -> pa.Table:
    """Return a table with a column of floats as whole numbers, where all of them are."""
    place, values = table.column_names.index(column), table[column]
    if not pc.all(pc.equal(values, pc.floor(values)), min_count=0).as_py():
        return table
    return table.set_column(place, column, values.cast(pa.int64()))


def read_column(directory: Path | str, column: str) -> pa.Table:
    """Read `trial_id`, `seed`, `factor.<path>` … and one column of the ledger, for the rows of `read_study`.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    folder = StudyFolder(Path(directory))
    return _planned_rows(read_ledger(folder, ["trial_id", "seed", column]), folder.read_plan())


def earlier_trials(directory: Path | str) -> list[dict[str, Any]]:
    """Return `trial_id`, `status`, `method` and `seed` of the ledger's trials that the plan no longer has.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    folder = StudyFolder(Path(directory))
    ledger = read_ledger(folder, ["trial_id", "status", "method", "seed"])
    planned = pa.array([row.trial_id for row in folder.read_plan()], pa.string())
    rows: list[dict[str, Any]] = ledger.filter(pc.invert(pc.is_in(ledger["trial_id"], planned))).to_pylist()
    return rows


def unnested(table: pa.Table, column: str) -> tuple[dict[str, Any], pa.Array]:
    """Return the table's other columns with a row per item of a column of lists, and the items."""
    lists = table[column].combine_chunks()
    owner = pc.list_parent_indices(lists)
    return {name: table[name].take(owner) for name in table.column_names if name != column}, lists.flatten()


def trial_results(directory: Path | str, metrics: Sequence[str] = ()) -> dict[str, TrialResult]:
    """Read how every trial in the ledger ended, by trial id.

    Args:
        directory: The study folder.
        metrics: Names of final metrics to read with it, from their columns or the column `metrics`, and with
            them the number of classes.

    Raises:
        StudyFolderError: A trial's file may not be read.
    """
    columns = [name for name in dict.fromkeys(metrics) if name in SCHEMA.names]
    others = [name for name in dict.fromkeys(metrics) if name not in SCHEMA.names]
    wanted = ["trial_id", "status", "reason", "duration_s", *columns, *(["metrics"] if others else [])]
    wanted += ["class_counts"] if metrics else []
    ledger = read_ledger(StudyFolder(Path(directory)), list(dict.fromkeys(wanted)))
    results = {}
    for row in ledger.to_pylist():
        rest = dict(row.get("metrics") or ())
        found = {name: row[name] for name in columns} | {name: rest.get(name) for name in others}
        known = {name: float(value) for name, value in found.items() if value is not None}
        classes = len(row.get("class_counts") or ()) or None
        how = row["status"], row["reason"], row["duration_s"]
        results[row["trial_id"]] = TrialResult(*how, known, classes)
    return results


def read_ledger(folder: StudyFolder, columns: list[str]) -> pa.Table:
    """Read the given columns of all trial files but damaged ones.

    Raises:
        StudyFolderError: A trial's file may not be read.
    """
    return read_rows(folder, pa.schema([SCHEMA.field(name) for name in columns]))


def _planned_rows(ledger: pa.Table, plan: Sequence[PlanRow]) -> pa.Table:
    """Return the plan's finished trials in its order, with a column per factor.

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
    """Return the common Arrow type of a factor's levels, None where they have none."""
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
