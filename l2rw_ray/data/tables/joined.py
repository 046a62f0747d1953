"""The tables of one `data` section: `train`, `trusted`, `meta` and `validation` as one, and `test`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data.row_ids import FileRows, distinct_names
from l2rw_ray.data.source import kept_pools
from l2rw_ray.data.tables.bad_rows import Array, BadRows
from l2rw_ray.errors import DataError

if TYPE_CHECKING:
    from l2rw_ray.data.tables.table import Table
    from l2rw_ray.data.tables.table_files import TableFormat


@dataclass(frozen=True)
class TablePart:
    """The rows of one table among those of all.

    Attributes:
        name: Option of the section that names it: `train`, `trusted`, `meta`, `validation` or `test`.
        table: The table.
        start: Its first row in the joined table.
    """

    name: str
    table: "Table"
    start: int = 0

    def has(self, column: str) -> bool:
        """Return whether a file of it has a column; if only some have, reading it is an error."""
        return any(column in schema.names for schema in self.table.schemas)

    def bad(self, whole: BadRows) -> BadRows:
        """Return its part of a record of bad rows of the joined table."""
        return whole.part(self.start, self.table.rows)


@dataclass(frozen=True)
class JoinedTable:
    """Tables one after the other.

    Attributes:
        whole: All of them as one table.
        parts: Each of them, in order.
    """

    whole: "Table"
    parts: tuple[TablePart, ...]

    def pools(self, kept_N: Array) -> dict[str, range]:
        """Return the rows that one set alone is drawn from, numbered without those that are left out.

        Args:
            kept_N: Which rows of the joined table are left, bool [N].
        """
        rows = {part.name: range(part.start, part.start + part.table.rows) for part in self.parts}
        pools = {name: part for name, part in rows.items() if name in ("meta", "validation")}
        return kept_pools(pools, torch.from_numpy(kept_N)) if pools else {}


@dataclass(frozen=True)
class SectionTables:
    """All tables of a section.

    Attributes:
        joined: Those that the train, meta and validation sets come from.
        test: That of the test set; None where it is drawn from the others.
        names: Short name of each file, by its path.
    """

    joined: JoinedTable
    test: JoinedTable | None
    names: Mapping[str, str]

    def file_rows(self, table: "Table") -> FileRows:
        """Return the identities of the rows of one of the tables, by file and number."""
        return FileRows(tuple(self.names[file.path] for file in table.files), table.sizes)


def open_tables(config: ParquetData) -> SectionTables:
    """Open the tables that a section names.

    Raises:
        DataError: One is missing, of another format, empty, or on another file system than `train`; or a file
            is in two of them.
    """
    named = {"train": config.train, "trusted": config.trusted, **config.set_files}
    parts, whole = list[TablePart](), None
    for name, given in named.items():
        if given is None:
            continue
        form = None if whole is None else whole.form
        table = open_table(config, f"trial.data.{name}", given, form)
        parts.append(TablePart(name, table, 0 if whole is None else whole.rows))
        whole = table if whole is None else _joined(whole, table)
    assert whole is not None
    joined, test = JoinedTable(whole, tuple(parts)), None
    if config.test is not None:
        table = open_table(config, "trial.data.test", config.test)
        test = JoinedTable(table, (TablePart("test", table),))
        parts.append(test.parts[0])
    _check_files_differ(parts)
    paths = [file.path for part in parts for file in part.table.files]
    return SectionTables(joined, test, dict(zip(paths, distinct_names(paths), strict=True)))


def open_table(config: ParquetData, field: str, given: str, form: "TableFormat | None" = None) -> "Table":
    """Open the table that a field of the section names.

    Args:
        config: The section.
        field: The field.
        given: Its value.
        form: Format that has read the tables before it; None for the first.

    Raises:
        DataError: It is missing, of another format, or empty.
    """
    from l2rw_ray.data.tables.csv_format import CsvFormat
    from l2rw_ray.data.tables.table import Table
    from l2rw_ray.data.tables.table_files import ParquetFormat

    if form is None:
        is_csv = config.source == "csv"
        form = CsvFormat(config.encoding, config.null_values) if is_csv else ParquetFormat()
    return Table.open(field, given, form)


def _joined(first: "Table", other: "Table") -> "Table":
    if not first.filesystem.equals(other.filesystem):
        problem = f"it is on another file system than {first.given}"
        raise DataError(other.field, other.given, problem, "copy it beside train")
    return replace(
        first,
        files=first.files + other.files,
        schemas=first.schemas + other.schemas,
        sizes=first.sizes + other.sizes,
    )


def _check_files_differ(parts: Sequence[TablePart]) -> None:
    """Check that no file is in two tables: its rows would be in two sets."""
    owners: dict[tuple[str, str], str] = {}
    for part in parts:
        for file in part.table.files:
            owner = owners.setdefault((part.table.filesystem.type_name, file.path), part.name)
            if owner != part.name:
                problem = f"its file {file.path} is in {owner}, too"
                raise DataError(part.table.field, part.table.given, problem, "move it out of one of the two")
