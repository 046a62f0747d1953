"""Repair a study folder before a run, after the previous one was killed or damaged it."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.atomic import is_being_written
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.schema import SCHEMA
from l2rw_ray.results.trial_files import DamagedFileError, is_of_one_trial, read_trial_file, trial_files
from l2rw_ray.results.trial_result import TrialResult


def repair_folder(folder: StudyFolder) -> list[str]:
    """Set damaged files of the ledger aside, and remove leftovers of killed runs.

    Leftovers are drafts, and checkpoints of trials whose end is recorded. Those of a failed trial stay, as
    another attempt may resume from them.

    Args:
        folder: The study folder, locked by the caller.

    Returns:
        What was done, a line for each damaged file.

    Raises:
        StudyFolderError: A file may not be read or moved, or the store cannot be read or written.
    """
    _sweep_drafts(folder)
    ended, lines = set[str](), []
    for path in trial_files(folder):
        try:
            table = _read_whole(folder, path)
        except DamagedFileError as damage:
            lost = "its trial counts" if is_of_one_trial(path) else "its trials count"
            lines.append(f"{damage}: now {_set_aside(folder, path).name}, and {lost} as missing")
        else:
            rows = [] if table is None else table.select(["trial_id", "status", "reason"]).to_pylist()
            ended |= {row["trial_id"] for row in rows if _is_over(row)}
    for trial_id in sorted(ended & folder.with_checkpoints()):
        folder.delete_checkpoints(trial_id)
    return lines


def _read_whole(folder: StudyFolder, path: Path) -> pa.Table | None:
    """Read a file of the ledger; with a store, a damaged copy is fetched again.

    Raises:
        DamagedFileError: It is damaged.
        StudyFolderError: The file or the store cannot be read.
    """
    try:
        return read_trial_file(path, SCHEMA)
    except DamagedFileError:
        if folder.store is None:
            raise
        folder.store.fetch(path)
        return read_trial_file(path, SCHEMA)


def _is_over(row: Mapping[str, Any]) -> bool:
    return row["status"] != "failed" and TrialResult(row["status"], row["reason"]).is_final


def _sweep_drafts(folder: StudyFolder) -> None:
    """Remove drafts, unless the process that writes them is still running."""
    for parent in (folder.path, folder.trials, folder.models, folder.examples):
        for draft in parent.glob(".*.tmp"):
            if not is_being_written(draft):
                with suppress(OSError):  # readers ignore it
                    draft.unlink()


def _set_aside(folder: StudyFolder, path: Path) -> Path:
    """Rename a file, on the store too, to a name that is not taken."""
    there = [] if folder.store is None else folder.store.names(path.parent)
    taken = {*there, *(each.name for each in path.parent.iterdir())}
    aside, number = path.with_name(f"{path.name}.damaged"), 1
    while aside.name in taken:
        number += 1
        aside = path.with_name(f"{path.name}.damaged.{number}")
    try:
        path.rename(aside)
    except OSError as error:
        problem = f"damaged, and cannot be renamed ({os.strerror(error.errno or 0).lower()})"
        raise StudyFolderError("trial file", path, problem, "delete it to run its trial again") from error
    if folder.store is not None:
        folder.store.put(aside)
        folder.store.remove(path)
    return aside
