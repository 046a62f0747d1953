"""A table of one or more Parquet files, read with errors that name file and row."""

import difflib
import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

from l2rw_ray.errors import DataError

_DECODERS = 8
_ROWS_AT_A_TIME = 4096
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ParquetTable:
    """The files of one table, in order of their paths.

    Attributes:
        field: The configuration field that named it, for error messages.
        given: What that field said.
        filesystem: Where the files are.
        files: What is known of them.
        sizes: Rows of each file.
    """

    field: str
    given: str
    filesystem: FileSystem
    files: tuple[FileInfo, ...]
    sizes: tuple[int, ...]

    @classmethod
    def open(cls, field: str, given: str) -> Self:
        """Find a table's files and read their footers.

        Raises:
            DataError: There are none, or one is no Parquet file.
        """
        try:
            filesystem, files = _find(given)
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise DataError(field, given, f"cannot be listed ({reason})", "check the path") from error
        if not files:
            raise DataError(field, given, "no Parquet file there", "give a file, a folder or a URI")
        sizes = tuple(_rows(field, filesystem, file) for file in files)
        if not sum(sizes):
            raise DataError(field, given, "no rows", "give a table with examples")
        return cls(field, given, filesystem, files, sizes)

    @property
    def identity(self) -> list[list[Any]]:
        """What changes when a file does."""
        return [[self.filesystem.type_name, file.path, file.size, file.mtime_ns] for file in self.files]

    def locate(self, row: int) -> str:
        """File and row, from 0, of a row counted over all files."""
        for file, size in zip(self.files, self.sizes, strict=True):
            if row < size:
                return f"row {row} of {file.path}"
            row -= size
        raise IndexError(row)

    def metadata_list(self, key: str) -> tuple[str, ...] | None:
        """A JSON list of text in the first file's metadata; None where there is none."""
        metadata = pq.read_schema(self.files[0].path, filesystem=self.filesystem).metadata or {}
        text = metadata.get(key.encode())
        return None if text is None else tuple(map(str, json.loads(text)))

    def labels(self, column: str) -> Array:
        """The label column, as integers or as text, [N].

        Raises:
            DataError: It is missing, has nulls, or is neither.
        """
        values = self._column(column, "trial.data.label")
        self._refuse(values.is_null(), column, "has no label")
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            return np.array(values.to_pylist(), dtype=np.str_)
        if not pa.types.is_integer(values.type):
            raise DataError(
                "trial.data.label", column, f"labels are of type {values.type}", "use integers or text"
            )
        indices: Array = values.to_numpy()
        return indices

    def features(self, columns: Sequence[str]) -> Array:
        """Numeric columns side by side, float32 [N, F].

        Raises:
            DataError: A column is missing or not numeric, or a value is null, NaN or infinite.
        """
        return np.stack([self._feature(column) for column in columns], axis=1)

    def _feature(self, column: str) -> Array:
        values = self._column(column, "trial.data.features")
        if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            raise DataError(
                "trial.data.features", column, f"of type {values.type}", "name numeric columns only"
            )
        numbers = values.cast(pa.float64())
        self._refuse(pc.fill_null(pc.invert(pc.is_finite(numbers)), True), column, "is null or not finite")
        feature: Array = numbers.to_numpy().astype(np.float32)
        return feature

    def images(self, column: str) -> Array:
        """The decoded images, uint8 [N, C, H, W]; C is 1 where the first image is grey, else 3.

        Raises:
            DataError: The column is missing, or an image is broken or of another size.
        """
        self._require(column, "trial.data.image")
        encoded = self._encoded(column)
        first = next(encoded)
        mode = "L" if _open(first).mode in ("1", "L", "I", "I;16") else "RGB"
        shape = self._image(0, first, mode, None, column).shape
        images = np.empty((sum(self.sizes), *shape), dtype=np.uint8)

        def place(row: int, data: bytes | None) -> None:
            images[row] = self._image(row, data, mode, shape, column)

        with ThreadPoolExecutor(_DECODERS) as pool:
            rows = enumerate(self._encoded(column))
            while chunk := list(islice(rows, _ROWS_AT_A_TIME)):
                list(pool.map(lambda pair: place(*pair), chunk))
        return images

    def _image(
        self, row: int, data: bytes | None, mode: str, shape: tuple[int, ...] | None, column: str
    ) -> Array:
        try:
            pixels = np.asarray(_open(data).convert(mode), dtype=np.uint8)
        except (OSError, TypeError, ValueError, SyntaxError) as error:
            raise DataError(
                "trial.data.image", column, f"{self.locate(row)} is no readable image", "mend or drop the row"
            ) from error
        image = pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)
        if shape is not None and image.shape != shape:
            raise DataError(
                "trial.data.image",
                column,
                f"{self.locate(row)} has shape {image.shape}, the first has {shape}",
                "resize all images to one size",
            )
        return image

    def _encoded(self, column: str) -> Iterator[bytes | None]:
        """Encoded images one by one, also from `{bytes, path}` structs, a few rows in memory at a time."""
        for file in self.files:
            with pq.ParquetFile(file.path, filesystem=self.filesystem) as parquet:
                for batch in parquet.iter_batches(_ROWS_AT_A_TIME, columns=[column]):
                    values = batch.column(0)
                    if pa.types.is_struct(values.type):
                        values = pc.struct_field(values, "bytes")
                    yield from values.to_pylist()

    def _column(self, column: str, field: str) -> pa.ChunkedArray:
        self._require(column, field)
        tables = [pq.read_table(f.path, columns=[column], filesystem=self.filesystem) for f in self.files]
        return pa.concat_tables(tables, promote_options="permissive")[column]

    def _require(self, column: str, field: str) -> None:
        for file in self.files:
            names = pq.read_schema(file.path, filesystem=self.filesystem).names
            if column not in names:
                near = difflib.get_close_matches(column, names, n=1)
                remedy = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}"
                raise DataError(field, column, f"no such column in {file.path}", remedy)

    def _refuse(self, bad: pa.ChunkedArray, column: str, problem: str) -> None:
        rows = np.flatnonzero(bad.to_numpy())
        if len(rows):
            raise DataError(
                self.field, self.given, f"{self.locate(int(rows[0]))}: {column} {problem}", "mend the row"
            )


def _open(data: bytes | None) -> Image.Image:
    return Image.open(io.BytesIO(data or b""))


def _find(given: str) -> tuple[FileSystem, tuple[FileInfo, ...]]:
    if "://" in given:
        filesystem, path = FileSystem.from_uri(given)
    else:
        filesystem, path = LocalFileSystem(), str(Path(given).expanduser().resolve())
    found = filesystem.get_file_info(path)
    if found.type is FileType.Directory:
        inside = filesystem.get_file_info(FileSelector(path, recursive=True))
        files = [file for file in inside if file.path.endswith((".parquet", ".pq"))]
        return filesystem, tuple(sorted(files, key=lambda file: file.path))
    return filesystem, (found,) if found.type is FileType.File else ()


def _rows(field: str, filesystem: FileSystem, file: FileInfo) -> int:
    try:
        rows: int = pq.read_metadata(file.path, filesystem=filesystem).num_rows
    except (OSError, pa.ArrowException) as error:
        raise DataError(field, file.path, "no readable Parquet file", "write it anew") from error
    return rows
