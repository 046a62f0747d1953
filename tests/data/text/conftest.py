"""Tables of short texts."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def text_table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a Parquet table of columns."""

    def write(columns: dict[str, object], name: str = "texts.parquet") -> Path:
        path = tmp_path / name
        pq.write_table(pa.table(columns), path)
        return path

    return write
