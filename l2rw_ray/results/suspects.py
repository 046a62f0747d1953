"""The ranking of a study's labels as a Parquet file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.atomic import atomic_path
from l2rw_ray.results.plain_files import check_plain

SUSPECTS_SCHEMA = pa.schema(
    [
        ("rank", pa.int64()),
        ("id", pa.string()),
        ("given", pa.string()),
        ("preferred", pa.string()),
        ("is_contradicted", pa.bool_()),
        ("given_probability", pa.float64()),
        ("preferred_probability", pa.float64()),
        ("mean_weight", pa.float64()),
        ("mean_zero_fraction", pa.float64()),
        ("mean_score", pa.float64()),
        ("mean_loss", pa.float64()),
        ("trained_models", pa.int64()),
        ("out_of_sample_models", pa.int64()),
        ("is_wrong", pa.bool_()),
        ("text", pa.string()),
        ("image", pa.binary()),
    ]
)


_PREVIEWS = ("text", "image")


def remove_previews(path: Path) -> None:
    """Remove the texts and thumbnails of examples from a ranking, in one step.

    Raises:
        OSError: The file cannot be written.
        StudyFolderError: It is damaged.
    """
    try:
        rows = pq.read_table(check_plain(path))
    except pa.ArrowException as error:
        problem, remedy = "cannot be read", "remove the file, and publish the study itself again"
        raise StudyFolderError("ranking of labels", path, problem, remedy) from error
    shown = [name for name in _PREVIEWS if name in rows.column_names and rows[name].null_count < len(rows)]
    if not shown:
        return
    for name in shown:
        place = rows.schema.get_field_index(name)
        field = rows.schema.field(place)
        rows = rows.set_column(place, field, pa.nulls(len(rows), field.type))
    with atomic_path(path) as temporary:
        pq.write_table(rows, temporary, compression="zstd")


def write_suspects(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write a ranking in one step, a row per label, the most suspect first.

    Args:
        path: The file.
        columns: Those of `SUSPECTS_SCHEMA`.

    Raises:
        OSError: The file cannot be written.
    """
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(dict(columns), schema=SUSPECTS_SCHEMA), temporary, compression="zstd")
