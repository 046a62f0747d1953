"""Read the ledger's files, also while a run merges them, and detect damaged ones."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.limits import MAX_LEDGER_BYTES, MAX_LEDGER_ROWS, MAX_LEDGER_VALUES
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.plain_files import plain_entries
from l2rw_ray.results.plans.plan_rows import is_trial_id
from l2rw_ray.results.schema import SCHEMA

_ROWS_AT_A_TIME = 1024
_FINGERPRINTS = "^[0-9a-f]{16}$"
COMPACTED = "compacted-"
"""What the names of files begin with that a compaction wrote; a number follows, later ones overriding."""
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

    If the ledger is compacted meanwhile, it is read again: a file that was listed may be gone, or one that
    was written during the listing may not be in it. That is found by listing it once more, unless two
    compactions took place meanwhile, between which a run ends hundreds of trials.

    Args:
        folder: The study folder.
        wanted: Columns, `trial_id` among them; those that an older file lacks are null.

    Raises:
        StudyFolderError: A file may not be read.
    """
    listed = trial_files(folder)
    while True:
        read = {path: _rows_of(path, wanted) for path in listed}
        now = trial_files(folder)
        gone = {path for path, table in read.items() if table is None} - set(now)
        new = {path for path in now if not is_of_one_trial(path)} - read.keys()
        if not gone and not new:
            break
        listed = now
    tables = [table for table in read.values() if table is not None]
    return last_rows(pa.concat_tables([_no_rows(wanted), *tables]))


def last_rows(rows: pa.Table) -> pa.Table:
    """Return a trial's last row, of each trial."""
    last = {trial_id: row for row, trial_id in enumerate(rows["trial_id"].to_pylist())}
    return rows if len(last) == len(rows) else rows.take(pa.array(last.values(), pa.int64()))


def trial_files(folder: StudyFolder) -> list[Path]:
    """List the ledger's files, damaged ones too, by what overrides what.

    First come other files of many trials, as of a published study, then compacted ones, then those of one
    trial; each by name.

    Raises:
        StudyFolderError: The folder may not be read.
    """
    try:
        names = [entry.name for entry in plain_entries(folder.trials) if entry.name.endswith(".parquet")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problem = f"unreadable ({(error.strerror or str(error)).lower()})"
        raise StudyFolderError("trial files", folder.trials, problem, "make it readable") from error
    return sorted((folder.trials / name for name in names), key=_precedence)


def _no_rows(wanted: pa.Schema) -> pa.Table:
    """Return an empty table without importing pandas, which `Schema.empty_table` does."""
    return pa.Table.from_batches([], schema=wanted)


def _precedence(path: Path) -> tuple[bool, bool, str]:
    return is_of_one_trial(path), path.name.startswith(COMPACTED), path.name


def _rows_of(path: Path, wanted: pa.Schema) -> pa.Table | None:
    """Return a file's rows, none of a damaged one, which is warned of; None if it is not there."""
    try:
        return read_trial_file(path, wanted)
    except DamagedFileError as damage:
        _warn(damage)
        return _no_rows(wanted)


def is_of_one_trial(path: Path) -> bool:
    """Return whether a file of the ledger holds a single trial, whose fingerprint is its name."""
    return is_trial_id(path.stem)


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
            table = _fitted(file, wanted, 1 if is_of_one_trial(path) else MAX_LEDGER_ROWS)
            _check_dates(file)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        if isinstance(error, OSError) and error.errno is not None:
            problem, remedy = f"unreadable ({reason})", "make it readable"
            raise StudyFolderError("trial file", path, problem, remedy) from error
        raise DamagedFileError(path, reason) from error
    if is_of_one_trial(path) and table["trial_id"].to_pylist() != [path.stem]:
        raise DamagedFileError(path, "it holds another trial")
    return table


def read_bounded(file: pq.ParquetFile, columns: Sequence[str], max_rows: int) -> pa.Table:
    """Read some columns of a file that may have been made to fill the memory.

    Args:
        file: The file.
        columns: Names of the columns, all of them in the file.
        max_rows: Rows that it may have.

    Raises:
        ValueError: It holds more rows or values than a ledger has.
    """
    footer = file.metadata
    if footer.num_rows > max_rows:
        raise ValueError(f"{footer.num_rows:,} rows, and not {max_rows:,} at most")
    for group in map(footer.row_group, range(footer.num_row_groups)):
        chunks = map(group.column, range(group.num_columns))
        values = max((chunk.num_values for chunk in chunks), default=0)
        if values > MAX_LEDGER_VALUES:
            raise ValueError(f"{values:,} values in one column")
    if footer.num_rows <= _ROWS_AT_A_TIME:
        return file.read(columns=list(columns))
    batches, size = [], 0
    for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=list(columns)):
        size += batch.nbytes
        if size > MAX_LEDGER_BYTES:
            raise ValueError(f"more than {MAX_LEDGER_BYTES / 2**30:.0f} GiB once it is read")
        batches.append(batch)
    return pa.Table.from_batches(batches)


def _fitted(file: pq.ParquetFile, wanted: pa.Schema, max_rows: int) -> pa.Table:
    present = set(file.schema_arrow.names)
    table = read_bounded(file, [name for name in wanted.names if name in present], max_rows)
    for name in wanted.names:
        if name not in present:
            table = table.append_column(wanted.field(name), pa.nulls(len(table), wanted.field(name).type))
    table = table.select(wanted.names).cast(wanted)
    if pc.any(pc.is_null(table["trial_id"])).as_py():
        raise ValueError("no trial_id")
    if not pc.all(pc.match_substring_regex(table["trial_id"], _FINGERPRINTS)).as_py():
        raise ValueError("a trial_id is no fingerprint")
    return table


def _check_dates(file: pq.ParquetFile) -> None:
    """Check that Python has a date for each time, whether or not it is among the columns to be read.

    Raises:
        OverflowError: A time lies beyond the years that Python has.
        ArrowException: A time is no date.
    """
    for field in SCHEMA:
        if pa.types.is_timestamp(field.type) and field.name in file.schema_arrow.names:
            pc.min_max(file.read([field.name])[field.name].cast(field.type)).as_py()


def _warn(damage: DamagedFileError) -> None:
    try:
        written = damage.path.stat().st_mtime_ns
    except OSError:
        return
    if (damage.path, written) not in _warned_of:
        _warned_of.add((damage.path, written))
        logging.getLogger(__name__).warning("%s: %s", damage, _CONSEQUENCE[is_of_one_trial(damage.path)])
