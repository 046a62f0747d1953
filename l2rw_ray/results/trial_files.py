"""The ledger's files one by one: reading one, telling a damaged one."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.folder import StudyFolder

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
"""Name of a file of one trial; those of a published study hold many and are called otherwise."""
_named: set[tuple[Path, int]] = set()
"""Damaged files that this process has told of, each with the time it was last written."""


class DamagedFileError(Exception):
    """A file of the ledger holds no record of its trial.

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


def trial_tables(folder: StudyFolder, wanted: pa.Schema) -> Iterator[pa.Table]:
    """The given columns of each file; a damaged one is left out, and told of once.

    Args:
        folder: The study folder.
        wanted: Columns, `trial_id` among them; those that an older file lacks are null.

    Raises:
        StudyFolderError: A file may not be read.
    """
    for path in trial_files(folder):
        try:
            table = read_trial_file(path, wanted)
        except DamagedFileError as damage:
            _name(damage)
        else:
            if table is not None:
                yield table


def trial_files(folder: StudyFolder) -> list[Path]:
    """The ledger's files, damaged ones too, by name."""
    return sorted(folder.trials.glob("*.parquet"))


def read_trial_file(path: Path, wanted: pa.Schema) -> pa.Table | None:
    """A file's columns in the wanted types; None where it has gone meanwhile.

    Args:
        path: The file.
        wanted: Columns, `trial_id` among them; those that an older file lacks are null.

    Raises:
        DamagedFileError: It holds no record of its trial.
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
            problem, remedy = f"unreadable ({reason})", "see that it can be read"
            raise StudyFolderError("trial file", path, problem, remedy) from error
        raise DamagedFileError(path, reason) from error
    if _FINGERPRINT.fullmatch(path.stem) and table["trial_id"].to_pylist() != [path.stem]:
        raise DamagedFileError(path, "it is of another trial")
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


def _name(damage: DamagedFileError) -> None:
    try:
        written = damage.path.stat().st_mtime_ns
    except OSError:
        return
    if (damage.path, written) not in _named:
        _named.add((damage.path, written))
        remedy = "`l2rw-ray run` sets it aside and runs its trial again"
        logging.getLogger(__name__).warning("%s: it counts as missing; %s", damage, remedy)
