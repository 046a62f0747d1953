"""Scikit-learn's digits as files of a user."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pyarrow.fs import FileSystem
from sklearn.datasets import load_digits


def write_digits(folder: str) -> None:
    """PNG images and labels, in two Parquet files of row groups of 100.

    Args:
        folder: A path or URI; it is made.
    """
    bunch, images = load_digits(), []
    for pixels in bunch.images:
        file = io.BytesIO()
        Image.fromarray((pixels * 15).astype(np.uint8)).save(file, "PNG")
        images.append(file.getvalue())
    filesystem, path = FileSystem.from_uri(folder)
    filesystem.create_dir(path)
    for name, rows in (("a", slice(0, 900)), ("b", slice(900, None))):
        table = pa.table({"image": images[rows], "label": bunch.target[rows]})
        pq.write_table(table, f"{path}/{name}.parquet", row_group_size=100, filesystem=filesystem)
