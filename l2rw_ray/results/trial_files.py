"""Read the ledger's files and detect damaged ones."""

import logging
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.folder import StudyFolder

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
"""Name of a file of one trial; a file of many trials, as of a published study, has another."""
_CONSEQUENCE = {
    True: "it counts as missing; `l2rw-ray run` sets it aside and runs its trial again",
    False: "its trials count as missing; restore it, or `l2rw-ray run` sets it aside and runs them again",
}
_warned_of: set[tuple[Path, int]] = set()
"""Damaged files that this process has warned of, each with the time it was last written."""


class DamagedFileError(Exception):
    """A file of the ledger is damaged.

    Args:
        path: The file.
        reason: What is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"trial file {self.path} is damaged ({self.reason})"


def read_rows(folder: StudyFolder, wanted: pa.Schema) -> pa.Table:
    """Read the given columns of all recorded trials, a row per trial.

    A trial that has a file of its own is read from it, even if a file of many trials has it too: a
    published study that was run again. A damaged file is skipped with one warning.

    Args:
        folder: The study folder.
        wanted: Columns, `trial_id` among them; those that an older file lacks are null.

    Raises:
        StudyFolderError: A file may not be read.
    """
    tables = [wanted.empty_table()]
    for path in trial_files(folder):
        try:
            table = read_trial_file(path, wanted)
        except DamagedFileError as damage:
            _warn(damage)
        else:
            tables += [] if table is None else [table]
    rows = pa.concat_tables(tables)
    last = {trial_id: row for row, trial_id in enumerate(rows["trial_id"].to_pylist())}
    return rows if len(last) == len(rows) else rows.take(pa.array(last.values(), pa.int64()))


def trial_files(folder: StudyFolder) -> list[Path]:
    """List the ledger's files by name, damaged ones too: first those of many trials, then those of one."""
    return sorted(folder.trials.glob("*.parquet"), key=lambda path: (is_of_one_trial(path), path.name))


def is_of_one_trial(path: Path) -> bool:
    """Return whether a file of the ledger holds a single trial, whose fingerprint is its name."""
    return _FINGERPRINT.fullmatch(path.stem) is not None


def read_trial_file(path: Path, wanted: pa.Schema) -> pa.Table | None:
    """Read a file's columns in the wanted types; None if it was removed meanwhile.

    Args:
        path: The file.
        wanted: Columns, `trial_id` among them; those that an older file lacks are null.

    Raises:
        DamagedFileError: It is damaged.
        StudyFolderError: It may not be read.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = _fitted(file, wanted)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        if isinstance(error, OSError) and error.errno is not None:
            problem, remedy = f"unreadable ({reason})", "make it readable"
            raise StudyFolderError("trial file", path, problem, remedy) from error
        raise DamagedFileError(path, reason) from error
    if is_of_one_trial(path) and table["trial_id"].to_pylist() != [path.stem]:
        raise DamagedFileError(path, "it holds another trial")
    return table


def _fitted(file: pq.ParquetFile, wanted: pa.Schema) -> pa.Table:
    present = set(file.schema_arrow.names)
    table = file.read(columns=[name for name in wanted.names if name in present])
    for name in wanted.names:
        if name not in present:
            table = table.append_column(wanted.field(name), pa.nulls(len(table), wanted.field(name).type))
    table = table.select(wanted.names).cast(wanted)
    if pc.any(pc.is_null(table["trial_id"])).as_py():
        raise ValueError("no trial_id")
    return table


def _warn(damage: DamagedFileError) -> None:
    try:
        written = damage.path.stat().st_mtime_ns
    except OSError:
        return
    if (damage.path, written) not in _warned_of:
        _warned_of.add((damage.path, written))
        logging.getLogger(__name__).warning("%s: %s", damage, _CONSEQUENCE[is_of_one_trial(damage.path)])
