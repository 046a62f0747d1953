"""Evidence on the labels of a trial's examples: one Parquet file per trial in `examples/`.

Shape suffixes: N examples, K most probable classes.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.limits import has_too_many_rows
from l2rw_ray.results.atomic import atomic_path
from l2rw_ray.results.plain_files import check_plain

EVIDENCE = ("weight", "zero_fraction", "score", "loss")
"""Means over the later half of training, each a column of floats."""
EXAMPLES_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("given", pa.int32(), nullable=False),
        pa.field("target", pa.float32()),
        pa.field("is_wrong", pa.bool_()),
        pa.field("is_trained", pa.bool_(), nullable=False),
        *(pa.field(name, pa.float32()) for name in EVIDENCE),
        pa.field("classes", pa.list_(pa.int16())),
        pa.field("probabilities", pa.list_(pa.float32())),
        pa.field("predicted", pa.float32()),
        pa.field("image", pa.binary()),
        pa.field("text", pa.string()),
    ]
)
_FORMAT = "1"
_COLUMNS_WITHOUT_PREVIEWS = [name for name in EXAMPLES_SCHEMA.names if name not in ("image", "text")]


@dataclass(frozen=True, kw_only=True)
class ExampleRecord:
    """Evidence of one trial on its train examples, and on those that it could have trained on.

    Attributes:
        class_names: Name of each class; of a regression of each stratum.
        ids: Name of each row, [N].
        row: Row in the source, int64 [N].
        given: Class as labelled, int32 [N]; of a regression the stratum.
        target: Target as given, float32 [N]; NaN for classes.
        is_wrong: 1 where the label is known to be wrong, 0 where known to be right, else −1, int8 [N].
        is_trained: Whether the model was trained on it, bool [N]; else what it predicts is out of sample.
        evidence: The columns of `EVIDENCE` by name, float32 [N]; NaN where there are none.
        classes: The most probable classes, most probable first, int16 [N, K]; K is 0 for a regression.
        probabilities: Their probabilities, float32 [N, K].
        predicted: Predicted target, float32 [N]; NaN for classes.
        images: Thumbnails as PNG by position, of some examples.
        texts: Beginnings of texts by position, of some examples.
    """

    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    row: np.ndarray
    given: np.ndarray
    target: np.ndarray
    is_wrong: np.ndarray
    is_trained: np.ndarray
    evidence: dict[str, np.ndarray]
    classes: np.ndarray
    probabilities: np.ndarray
    predicted: np.ndarray
    images: dict[int, bytes] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row)


def write_examples(path: Path, record: ExampleRecord) -> None:
    """Write a trial's evidence, replacing an earlier file in one step.

    Args:
        path: The file. Its folder is created, but not the folder above.
        record: The evidence.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(exist_ok=True)  # not its parents: they are missing on other machines
    with atomic_path(path) as temporary:
        pq.write_table(_as_table(record), temporary, compression="zstd", write_page_checksum=True)


def read_examples(path: Path, *, previews: bool = True) -> ExampleRecord:
    """Read a trial's evidence.

    Args:
        path: The file.
        previews: Whether to read thumbnails and texts, which are most of the file.

    Raises:
        StudyFolderError: It cannot be read.
    """
    check_plain(path)
    columns = EXAMPLES_SCHEMA.names if previews else _COLUMNS_WITHOUT_PREVIEWS
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_rows(file.metadata.num_rows, path)
            table = file.read(columns=columns)
        return _as_record(table, _class_names(table))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        remedy = "delete the file, which leaves its trial out, or restore it"
        raise StudyFolderError("evidence on labels", path, f"unreadable ({reason})", remedy) from error


def _check_rows(rows: int, path: Path) -> None:
    size = path.stat().st_size
    if has_too_many_rows(rows, size):
        raise ValueError(f"{rows:,} rows in {size:,} bytes")


def _as_table(record: ExampleRecord) -> pa.Table:
    known = pa.array(record.is_wrong == 1, pa.bool_(), mask=record.is_wrong < 0)
    columns = {
        "id": pa.array(record.ids, pa.string()),
        "row": pa.array(record.row, pa.int64()),
        "given": pa.array(record.given, pa.int32()),
        "target": _floats(record.target),
        "is_wrong": known,
        "is_trained": pa.array(record.is_trained, pa.bool_()),
        **{name: _floats(record.evidence[name]) for name in EVIDENCE},
        "classes": _lists(record.classes, pa.int16()),
        "probabilities": _lists(record.probabilities, pa.float32()),
        "predicted": _floats(record.predicted),
        "image": pa.array([record.images.get(place) for place in range(len(record))], pa.binary()),
        "text": pa.array([record.texts.get(place) for place in range(len(record))], pa.string()),
    }
    metadata = {"format": _FORMAT, "class_names": json.dumps(record.class_names)}
    return pa.table(columns, schema=EXAMPLES_SCHEMA).replace_schema_metadata(metadata)


def _class_names(table: pa.Table) -> tuple[str, ...]:
    metadata = table.schema.metadata or {}
    if metadata.get(b"format") != _FORMAT.encode():
        raise ValueError("it is of another version")
    return tuple(json.loads(metadata[b"class_names"]))


def _as_record(table: pa.Table, class_names: tuple[str, ...]) -> ExampleRecord:
    is_wrong = table["is_wrong"].cast(pa.int8()).fill_null(-1).to_numpy()
    return ExampleRecord(
        class_names=class_names,
        ids=tuple(table["id"].to_pylist()),
        row=table["row"].to_numpy(),
        given=table["given"].to_numpy(),
        target=table["target"].to_numpy(),
        is_wrong=is_wrong,
        is_trained=table["is_trained"].to_numpy(),
        evidence={name: table[name].to_numpy() for name in EVIDENCE},
        classes=_matrix(table["classes"], np.int16),
        probabilities=_matrix(table["probabilities"], np.float32),
        predicted=table["predicted"].to_numpy(),
        images=_some(table, "image"),
        texts=_some(table, "text"),
    )


def _floats(values: np.ndarray) -> pa.Array:
    """Return floats, null where NaN."""
    return pa.array(values, pa.float32(), from_pandas=True)


def _lists(values_NK: np.ndarray, kind: pa.DataType) -> pa.Array:
    count, width = values_NK.shape
    offsets = pa.array(np.arange(count + 1) * width, pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(values_NK.ravel(), kind))


def _matrix(lists: pa.ChunkedArray, kind: type) -> np.ndarray:
    flat: np.ndarray = lists.combine_chunks().flatten().to_numpy().astype(kind)
    return flat.reshape(len(lists), -1) if len(lists) else flat.reshape(0, 0)


def _some(table: pa.Table, name: str) -> dict[int, Any]:
    if name not in table.column_names:
        return {}
    values = enumerate(table[name].to_pylist())
    return {place: value for place, value in values if value is not None}
