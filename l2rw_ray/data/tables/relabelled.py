"""Write a copy of a table in which some labels are replaced, and nothing else."""

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from pyarrow.fs import FileInfo

from l2rw_ray.config.data.sources import Data, ParquetData
from l2rw_ray.data.tables.changed_csv import changed_csv
from l2rw_ray.data.tables.csv_format import CsvFormat, delimiter_of
from l2rw_ray.data.tables.joined import open_tables
from l2rw_ray.data.tables.table import Table, readable
from l2rw_ray.errors import DataError


def write_relabelled(config: Data, given: Mapping[str, str], suggested: Mapping[str, str], out: Path) -> None:
    """Write a study's train table with the suggested labels; of a source that is no table ids and labels.

    A class is written as the table writes it where it was given. Rows of CSV whose label stays are copied as
    they are.

    Args:
        config: The trial's `data` section.
        given: Name of the class that each row was given, by the row's identity.
        suggested: Name of the class to give some of them instead.
        out: File to write, `.parquet` or `.csv`, which must not exist.

    Raises:
        DataError: The table is not the one that the study ran on, or cannot be read.
        OSError: The file cannot be written.
    """
    if not isinstance(config, ParquetData) or config.label is None:
        labels = dict(given) | dict(suggested)
        _write(pa.table({"id": list(labels), "label": list(labels.values())}), out)
        return
    tables = open_tables(config)
    table = tables.joined.parts[0].table
    table.require(config.label, "trial.data.label")
    parts = [_whole(table, file) for file in table.files]
    rows = pa.concat_tables(parts, promote_options="default")
    names = tables.file_rows(table) if config.id is None else map(str, rows[config.id].to_pylist())
    changes = _changes(table, rows[config.label].to_pylist(), names, given, suggested)
    if out.suffix == ".csv" and isinstance(table.form, CsvFormat) and len(table.files) == 1:
        content = _content(table, table.form, table.files[0])
        changed = changed_csv(content, rows.schema.get_field_index(config.label), changes)
        out.write_bytes(changed.decode().encode(table.form.encoding))
    else:
        _write(_with(rows, config.label, changes), out)


def _changes(
    table: Table,
    labels: Sequence[Any],
    names: Iterable[str],
    given: Mapping[str, str],
    suggested: Mapping[str, str],
) -> dict[int, Any]:
    """Return the values that replace labels, by the row's place in the table.

    Args:
        table: The table, for error messages.
        labels: Its label column.
        names: Identity of each row.
        given: As for `write_relabelled`.
        suggested: As for `write_relabelled`.
    """
    places = {name: place for place, name in enumerate(names)}
    seen: dict[str, Counter[Any]] = {}
    for identity, name in given.items():
        seen.setdefault(name, Counter())[labels[_place(table, places, identity)]] += 1
    # by majority: a verified row may have trained with a label that is not the one in this column
    spelled = {name: counts.most_common(1)[0][0] for name, counts in seen.items()}
    for name in suggested.values():
        if name not in spelled:
            problem = f"no row of the study has the class {name!r}"
            raise DataError(table.field, table.given, problem, "use a name that labels have")
    return {_place(table, places, identity): spelled[name] for identity, name in suggested.items()}


def _with(rows: pa.Table, label: str, changes: Mapping[int, Any]) -> pa.Table:
    values = [changes.get(place, value) for place, value in enumerate(rows[label].to_pylist())]
    kind = rows.schema.field(label)
    return rows.set_column(rows.schema.get_field_index(label), kind, pa.array(values, kind.type))


def _write(rows: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(rows, path, compression="zstd")
    else:
        csv.write_csv(rows, path, csv.WriteOptions(quoting_style="needed"))


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
            parse_options=csv.ParseOptions(delimiter=delimiter_of(content), newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )


def _place(table: Table, places: Mapping[str, int], identity: str) -> int:
    if identity not in places:
        problem = f"row {identity} of the study is not in it"
        raise DataError(table.field, table.given, problem, "give the table that the study ran on")
    return places[identity]
