"""Write a copy of a table in which some labels are replaced, and nothing else."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from pyarrow.fs import FileInfo

from l2rw_ray.config.data.sources import Data, ParquetData
from l2rw_ray.data.row_ids import ColumnIds, RowIds
from l2rw_ray.data.tables.bad_rows import BadRows
from l2rw_ray.data.tables.changed_csv import changed_csv
from l2rw_ray.data.tables.csv_format import CsvFormat, delimiter_of, read_options
from l2rw_ray.data.tables.joined import SectionTables, open_tables
from l2rw_ray.data.tables.table import Table, plain_type, readable
from l2rw_ray.errors import DataError, first_line


def write_relabelled(config: Data, given: Mapping[str, str], suggested: Mapping[str, str], out: Path) -> int:
    """Write a study's train table with the suggested labels; of a source that is no table ids and labels.

    A class is written as the table writes it where it was given. A label that somebody verified stands
    instead of what is suggested. Rows of CSV whose label stays are copied as they are. Rows that trained from
    another table, such as `trusted`, are not in the file.

    Args:
        config: The trial's `data` section.
        given: Name of the class that each row trained with, by the row's identity.
        suggested: Name of the class to give some of them instead.
        out: File to write, `.parquet` or `.csv`, which must not exist.

    Returns:
        The number of labels that were replaced.

    Raises:
        DataError: The table is not the one that the study ran on, cannot be read, or fits into no CSV.
        OSError: The file cannot be written.
    """
    if not isinstance(config, ParquetData) or config.label is None:
        labels = dict(given) | dict(suggested)
        _write(pa.table({"id": list(labels), "label": list(labels.values())}), out)
        return len(suggested)
    tables = open_tables(config)
    table = tables.joined.parts[0].table
    table.require(config.label, "trial.data.label")
    parts = [_whole(table, file) for file in table.files]
    rows = pa.concat_tables(parts, promote_options="default")
    names = _Names.of(config, tables)
    spelled = _spelled(config, table, rows, names.places(table, given))
    verified = _verified(config, table, rows)
    changes = {
        place: verified[place] if place in verified else _spelling(table, spelled, name)
        for place, name in names.places(table, suggested).items()
    }
    labels = rows[config.label].to_pylist()
    changes = {place: label for place, label in changes.items() if label != labels[place]}
    if out.suffix == ".csv" and isinstance(table.form, CsvFormat) and len(table.files) == 1:
        content = _content(table, table.form, table.files[0])
        changed = changed_csv(content, rows.schema.get_field_index(config.label), changes)
        out.write_bytes(changed.decode().encode(table.form.encoding))
    else:
        _write(_with(rows, config.label, changes), out)
    return len(changes)


@dataclass(frozen=True)
class _Names:
    """Identities of the rows of a section's tables.

    Attributes:
        train: Place of each row of the train table, by its identity.
        others: Identities of the rows of the other tables.
    """

    train: Mapping[str, int]
    others: frozenset[str]

    @classmethod
    def of(cls, config: ParquetData, tables: SectionTables) -> Self:
        whole, count = tables.joined.whole, tables.joined.parts[0].table.rows
        unnamed = BadRows(whole.rows, skip=True)
        ids: RowIds = tables.file_rows(whole)
        if config.id is not None:
            ids = ColumnIds(whole.labels(config.id, unnamed, "trial.data.id"))
        named = unnamed.kept
        train = {ids[place]: place for place in range(count) if named[place]}
        return cls(train, frozenset(ids[place] for place in range(count, whole.rows) if named[place]))

    def places(self, table: Table, by_identity: Mapping[str, str]) -> dict[int, str]:
        """Return what is given by identity by place in the train table, without rows of other tables.

        Raises:
            DataError: A row is in none of the tables.
        """
        found = {}
        for identity, name in by_identity.items():
            if identity in self.train:
                found[self.train[identity]] = name
            elif identity not in self.others:
                problem = f"row {identity} of the study is not in it"
                raise DataError(table.field, table.given, problem, "give the table that the study ran on")
        return found


def _spelled(config: ParquetData, table: Table, rows: pa.Table, given: Mapping[int, str]) -> dict[str, Any]:
    """Return the value that stands for each class in the label column, or else in that of verified labels.

    Args:
        config: The `data` section.
        table: The train table.
        rows: All of it.
        given: Name of the class that rows trained with, by place in the table.

    Raises:
        DataError: One value stands for two classes: labels or rows have changed since the study.
    """
    assert config.label is not None
    labels, verified_N = rows[config.label].to_pylist(), np.zeros(table.rows, dtype=np.bool_)
    verified: Sequence[Any] = ()
    if config.trains_on_verified and config.verified_label is not None:
        lacking = BadRows(table.rows, skip=True)
        table.labels(config.verified_label, lacking, "trial.data.verified_label")
        verified, verified_N = rows[config.verified_label].to_pylist(), lacking.kept
    own = Counter((name, labels[place]) for place, name in given.items() if not verified_N[place])
    _check_one_class_each(table, own)
    others = Counter((name, verified[place]) for place, name in given.items() if verified_N[place])
    # the most frequent last, since the last one counts
    return dict(key for counts in (others, own) for key, _ in reversed(counts.most_common()))


def _verified(config: ParquetData, table: Table, rows: pa.Table) -> dict[int, Any]:
    """Return the verified labels of a table by place, written as the label column writes them."""
    assert config.label is not None
    if config.verified_label is None:
        return {}
    written = rows[config.label].to_pylist()
    spelled = {label: written[place] for place, label in _present(table, config.label, "label")}
    raw, kind = rows[config.verified_label], plain_type(rows[config.label].type)
    return {
        place: spelled[label] if label in spelled else raw[place].cast(kind).as_py()
        for place, label in _present(table, config.verified_label, "verified_label")
    }


def _present(table: Table, column: str, option: str) -> Iterator[tuple[int, Any]]:
    """Yield the place and the label of each row that has one in a column."""
    lacking = BadRows(table.rows, skip=True)
    labels = table.labels(column, lacking, f"trial.data.{option}").tolist()
    for place in np.flatnonzero(lacking.kept).tolist():
        yield place, labels[place].strip() if isinstance(labels[place], str) else labels[place]


def _check_one_class_each(table: Table, counts: Iterable[tuple[str, Any]]) -> None:
    classes: dict[Any, str] = {}
    for name, value in counts:
        if classes.setdefault(value, name) != name:
            problem = f"its label {value} was both {classes[value]} and {name} in the study: it has changed"
            raise DataError(table.field, table.given, problem, "give the table that the study ran on")


def _spelling(table: Table, spelled: Mapping[str, Any], name: str) -> Any:
    if name not in spelled:
        problem = f"no row of the study has the class {name!r}"
        raise DataError(table.field, table.given, problem, "use a name that labels have")
    return spelled[name]


def _with(rows: pa.Table, label: str, changes: Mapping[int, Any]) -> pa.Table:
    values = [changes.get(place, value) for place, value in enumerate(rows[label].to_pylist())]
    kind = rows.schema.field(label)
    return rows.set_column(rows.schema.get_field_index(label), kind, pa.array(values, kind.type))


def _write(rows: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(rows, path, compression="zstd")
    else:
        content = io.BytesIO()
        try:
            csv.write_csv(rows, content, csv.WriteOptions(quoting_style="needed"))
        except pa.ArrowException as error:
            problem = f"CSV cannot hold all columns of the table ({first_line(error)})"
            raise DataError("--fix", path, problem, "end its name in .parquet") from error
        path.write_bytes(content.getvalue())


def _content(table: Table, form: CsvFormat, file: FileInfo) -> bytes:
    with readable(table.field, form, file.path):
        return form.content(table.filesystem, file)


def _whole(table: Table, file: FileInfo) -> pa.Table:
    """Read all columns of one file; those of CSV as the text that they are."""
    if not isinstance(table.form, CsvFormat):
        with readable(table.field, table.form, file.path):
            return pq.read_table(file.path, filesystem=table.filesystem)
    content = _content(table, table.form, file)
    with readable(table.field, table.form, file.path):
        names = table.schemas[table.files.index(file)].names
        return csv.read_csv(
            io.BytesIO(content),
            read_options=read_options(content),
            parse_options=csv.ParseOptions(delimiter=delimiter_of(content), newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
