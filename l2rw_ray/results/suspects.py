"""The ranking of a study's labels as a Parquet file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from l2rw_ray.results.atomic import atomic_path

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
