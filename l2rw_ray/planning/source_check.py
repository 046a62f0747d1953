"""Check the sizes of sets by the footers of local Parquet files, before any data are loaded."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from l2rw_ray.config import PlannedTrial, TrialConfig
from l2rw_ray.config.data.set_sizes import RowCounts, size_misfit
from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.errors import ConfigError

_ENDINGS = (".parquet", ".pq")


def check_table_sizes(trials: Iterable[PlannedTrial]) -> None:
    """Check that the sets of each distinct `data` section fit into its tables, as far as footers tell.

    Tables that are not here are left to the check that a run begins with, as are sections in which a set but
    the test set has a table of its own.

    Raises:
        ConfigError: A set is larger than its table.
    """
    configs = {id(trial.config): trial.config for trial in trials}.values()
    sections = (config.data for config in configs if isinstance(config, TrialConfig))
    rows_of = cache(_rows)  # for this check alone: a file may be written anew before the next one
    for data in {each for each in sections if isinstance(each, ParquetData)}:
        if data.source != "parquet" or data.set_files or data.trusted is not None:
            continue
        train, test = rows_of(data.train), None if data.test is None else rows_of(data.test)
        if train is None or (data.test is not None and test is None):
            continue
        misfit = size_misfit(data, RowCounts(train, test))
        if misfit is not None:
            raise ConfigError(f"trial.data.{misfit.field}", *misfit[1:])


def _rows(given: str) -> int | None:
    """Count the rows of the Parquet files of a path; None where that cannot be done here."""
    if "://" in given:
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(given).expanduser()
    inside = path.rglob("*") if path.is_dir() else [path]
    files = [each for each in inside if each == path or each.suffix in _ENDINGS]
    try:
        return sum(pq.read_metadata(each).num_rows for each in files) if files else None
    except (OSError, pa.ArrowException):
        return None
