"""Merge files of the ledger into few larger ones, while others read it.

The new file is complete, and on the disk, before the first of its sources is removed. It overrides those
of many trials, whose rows it has or has replaced, and a trial's own file, which overrides it, has the same
row. So wherever a compaction is killed, every trial's last row is read, and read once, whichever of the
sources are left; the next compaction takes them in again. Readers that a compaction overtakes notice it
(`read_rows`).

A new file also takes in the files of many trials before it that hold no more rows than it has so far. So a
ledger of n trials has about log2(n / `MIN_FILES`) such files, and a row is rewritten as often; a file of
more than `MAX_BYTES` is not rewritten any more.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.folder import StudyFolder, unwritable
from l2rw_ray.results.schema import SCHEMA
from l2rw_ray.results.trial_files import (
    COMPACTED,
    DamagedFileError,
    is_of_one_trial,
    last_rows,
    read_trial_file,
    trial_files,
)

MIN_FILES = 256
"""Files of one trial that are merged at a time, at least."""
MAX_FILES = 1024
"""Files of one trial that are merged at a time, at most: an older ledger may have any number of them."""
MAX_BYTES = 64 * 2**20
"""Size up to which a file of many trials is merged with later ones."""
_ROWS_PER_GROUP = 256
"""Small groups: a reader of a few columns holds one group of them at a time."""


def compact_ledger(folder: StudyFolder) -> int:
    """Merge the ledger's files of one trial into files of many trials.

    Damaged files, and files with columns that this release does not know, stay as they are. A ledger with
    fewer than `MIN_FILES` files of one trial is left alone.

    Args:
        folder: The study folder, locked by the caller.

    Returns:
        How many files were merged.

    Raises:
        StudyFolderError: A file may not be read, or the folder or its store cannot be written. Every
            trial's row can be read nevertheless.
    """
    merged = 0
    while sources := _sources(folder):
        gone = _merge(folder, sources)
        merged += gone
        if not gone:
            break
    return merged


def compact_quietly(folder: StudyFolder) -> None:
    """Compact the ledger during a run, which does not depend on it: a failure is a warning."""
    try:
        compact_ledger(folder)
    except StudyFolderError as error:
        logging.getLogger(__name__).warning("the ledger stays as it is, in many files: %s", error)


def _sources(folder: StudyFolder) -> list[Path]:
    """Return the files to merge, later ones overriding earlier ones; none if there are too few."""
    files = trial_files(folder)
    single = [path for path in files if is_of_one_trial(path)]
    if len(single) < MIN_FILES:
        return []
    single = single[:MAX_FILES]
    rows, taken = len(single), list[Path]()
    for path in reversed([path for path in files if not is_of_one_trial(path)]):
        try:
            more, size = pq.read_metadata(path).num_rows, path.stat().st_size
        except (OSError, pa.ArrowException):
            break  # a run sets it aside when it starts
        if more > rows or size > MAX_BYTES:
            break
        taken.insert(0, path)
        rows += more
    return [*taken, *single]


def _merge(folder: StudyFolder, sources: Sequence[Path]) -> int:
    """Write the rows of the sources to a new file, and remove the sources. Returns how many were merged."""
    tables: dict[Path, pa.Table] = {}
    for path in sources:
        table = _known_rows(path)
        if table is None and not is_of_one_trial(path):  # its rows must go on overriding those before it
            tables.clear()
        elif table is not None:
            tables[path] = table
    if not any(is_of_one_trial(path) for path in tables):
        return 0
    rows = last_rows(pa.concat_tables(tables.values()))
    target = folder.trials / f"{COMPACTED}{_next_number(folder):08d}.parquet"
    try:
        with folder.replaced(target) as temporary:
            pq.write_table(
                rows, temporary, compression="zstd", write_page_checksum=True, row_group_size=_ROWS_PER_GROUP
            )
        folder.remove_trial_files(list(tables))
    except OSError as error:
        raise StudyFolderError("trial files", folder.trials, *unwritable(error)) from error
    return len(tables)


def _known_rows(path: Path) -> pa.Table | None:
    """Return the rows of a file; None if it is damaged, or has more than this release can write."""
    try:
        if set(pq.read_schema(path).names) - set(SCHEMA.names):
            return None
        return read_trial_file(path, SCHEMA)
    except (DamagedFileError, pa.ArrowException, OSError):
        return None


def _next_number(folder: StudyFolder) -> int:
    numbers = (re.fullmatch(rf"{COMPACTED}(\d+)", path.stem) for path in trial_files(folder))
    return max((int(number[1]) for number in numbers if number), default=0) + 1
