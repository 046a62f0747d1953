"""Noise of labels that was recorded, not added: in what a study learned from and in what it selected by."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from l2rw_ray.report.design_points.labels import count
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.report.document.section import Section, table_section
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.results import read_known_noise
from l2rw_ray.statistics.proportion import proportion_interval

_MAX_CLASSES = 20
"""Largest number of classes of a matrix that is shown."""
_NOTE = (
    "Rate: share of the examples with a given and a verified {what} whose given one is {wrong}, with the "
    "95 % Wilson interval for a random sample of all. Where doubtful ones were verified first, they are no "
    "such sample, and the others are better. Known in train: examples of which it is known whether the "
    "{what} they train with is right, mean over trials; these alone count where weights are judged by wrong "
    "{what}s."
)
_NOTE_ON_TARGETS = " Such a target is one that is more than one standard deviation of the train targets off."


def noisy_selection(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Return a warning if trials were selected by labels that nobody verified."""
    rows = [outcome.row for outcome in outcomes if outcome.row is not None]
    noisy = [
        row for row in rows if json.loads(row["config"]).get("data", {}).get("validation_labels") == "given"
    ]
    if not noisy:
        return ()
    where = "" if len(noisy) == len(rows) else f" in {count(len(noisy), 'trial')} of {len(rows):,}"
    sizes = sorted({dict(row["split_sizes"] or ()).get("validation", 0) for row in noisy})
    examples = " or ".join(f"{size:,}" for size in sizes)
    return (
        f"Selection saw noisy labels{where}: nobody verified those of the {examples} validation examples; "
        "what validation metrics say, and what was chosen by them, is only as good as these labels. Test "
        "labels are verified",
    )


def label_noise_tables(directory: Path) -> tuple[Table, ...]:
    """Return how given labels, or targets, differ from verified ones; nothing where there are not both.

    Args:
        directory: The study folder.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in read_known_noise(directory).to_pylist():
        data = {name: row[name] for name in ("examples", "wrong", "confusion", "rmse")}
        groups.setdefault(json.dumps(data), []).append(row)
    if not groups:
        return ()
    matrices = (_matrix(rows[0], _name(groups, place)) for place, rows in enumerate(groups.values()))
    return (_rates(groups), *(matrix for matrix in matrices if matrix is not None))


def label_noise_sections(tables: Sequence[Table]) -> list[Section]:
    """Return a section of the rates, with the matrices folded; nothing without tables."""
    return [table_section(tables[0], *map(table_section, tables[1:]))] if tables else []


def _rates(groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    of_targets = next(iter(groups.values()))[0]["rmse"] is not None
    rows = (
        TableRow(_name(groups, place) or "this study", _rate_cells(rows, of_targets=of_targets))
        for place, rows in enumerate(groups.values())
    )
    what, wrong = ("target", "another") if of_targets else ("label", "wrong")
    size, in_train = (("difference (RMS)",), "over 1 SD off") if of_targets else ((), "wrong")
    return Table(
        key="known-noise",
        title=f"Known noise of the {what}s",
        corner="data",
        columns=(
            f"with both {what}s",
            f"given {wrong}",
            "rate",
            *size,
            "known in train",
            f"of them {in_train}",
        ),
        rows=tuple(rows),
        note=_NOTE.format(what=what, wrong=wrong) + (_NOTE_ON_TARGETS if of_targets else ""),
    )


def _rate_cells(rows: Sequence[Mapping[str, Any]], *, of_targets: bool) -> tuple[TableCell, ...]:
    first = rows[0]
    low, high = proportion_interval(first["wrong"], first["examples"])
    known, wrong = (fmean(row[name] for row in rows) for name in ("train_examples", "train_wrong"))
    return (
        TableCell(f"{first['examples']:,}"),
        TableCell(f"{first['wrong']:,}"),
        TableCell(
            f"{100 * first['wrong'] / first['examples']:.1f} %", f"{100 * low:.1f} to {100 * high:.1f}"
        ),
        *([TableCell(f"{first['rmse']:.3g}")] if of_targets else []),
        TableCell(f"{known:,.0f}"),
        TableCell(f"{100 * wrong / known:.1f} %" if known else "–"),
    )


def _matrix(row: Mapping[str, Any], name: str) -> Table | None:
    """Return the examples by verified and given class; None for a regression or too many classes."""
    confusion = row["confusion"]
    if confusion is None or len(confusion["class_names"]) > _MAX_CLASSES:
        return None
    names = tuple(confusion["class_names"])
    return Table(
        key="known-noise-matrix" + name.replace(" ", "-"),
        title=f"Given labels by verified class{f', {name}' if name else ''}",
        corner="verified",
        columns=names,
        rows=tuple(
            TableRow(true, tuple(TableCell(f"{number:,}") for number in counts))
            for true, counts in zip(names, confusion["counts"], strict=True)
        ),
        note="Examples with both labels: a row per verified class, a column per given one.",
    )


def _name(groups: Mapping[str, object], place: int) -> str:
    """Return the name of one of several data sets; empty where there is one."""
    return f"data {place + 1}" if len(groups) > 1 else ""
