"""Decoding encoded images (PNG, JPEG, …) into one array, several at a time."""

import functools
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from l2rw_ray.data.cache import cached
from l2rw_ray.data.tables.bad_rows import Array, BadRows
from l2rw_ray.errors import DataError

_THREADS = 8
_GREY = ("1", "L", "LA", "La")
_DEEP = ("I", "F")
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""Exceptions that Pillow's decoders raise on broken files."""
Encoded = bytes | Path | None


class UnreadableError(Exception):
    """An image that is missing or broken; its first argument says which of the two."""


@dataclass(frozen=True)
class ImageDecoder:
    """How images of one source become arrays.

    Attributes:
        field: The configuration field that names them, for error messages.
        value: What it says.
        locate: Describes where an image is, by its row.
        resized: Remedy to suggest where sizes differ.
        size: Height and width that they are resized to; None leaves them.
        shape: Shape of all images; None until the first is decoded, which sets colour and size.
    """

    field: str
    value: str
    locate: Callable[[int], str]
    resized: str
    size: tuple[int, int] | None = None
    shape: tuple[int, ...] | None = None

    def decode(self, row: int, data: Encoded) -> Array:
        """Decode one image, uint8 [C, H, W].

        Raises:
            UnreadableError: It is missing or broken.
            DataError: It has more than eight bits per channel, or not the shape of the first.
        """
        if data is None:
            raise UnreadableError("holds no image")
        try:
            with Image.open(data if isinstance(data, Path) else io.BytesIO(data)) as encoded:
                pixels = self._pixels(row, encoded)
        except _UNREADABLE as error:
            raise UnreadableError("is no readable image") from error
        image: Array = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        if self.shape is not None and image.shape != self.shape:
            problem = f"has shape {image.shape}, the first image has {self.shape}"
            raise self.error_at(row, problem, self.resized)
        return image

    def error_at(self, row: int, problem: str, remedy: str) -> DataError:
        """Return the error about one image."""
        return DataError(self.field, self.value, f"{self.locate(row)} {problem}", remedy)

    def unreadable_error(self, row: int, problem: str = "is no readable image") -> DataError:
        """Return the error about an image that is missing or broken."""
        remedy = "fix it, drop it, or set trial.data.bad_rows to skip"
        return self.error_at(row, problem, remedy)

    def _pixels(self, row: int, encoded: Image.Image) -> Array:
        if encoded.mode.startswith(_DEEP):
            problem = f"has mode {encoded.mode}, more than 8 bits"
            raise self.error_at(row, problem, "convert the images to 8 bits")
        grey = encoded.mode in _GREY if self.shape is None else self.shape[0] == 1
        converted = encoded.convert("L" if grey else "RGB")
        if self.size is not None:
            height, width = self.size
            converted = converted.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(converted)


def cached_images(
    identity: Mapping[str, object],
    decode: Callable[[], tuple[Array, Array]],
    decoder: ImageDecoder,
    bad: BadRows,
) -> Tensor:
    """Return all images of a source, from the cache if they are there, and mark those that cannot be read.

    Args:
        identity: As for `cached`, where none may be skipped.
        decode: Calls `decode_all`.
        decoder: Makes the errors about images.
        bad: Records images that cannot be read.

    Returns:
        uint8 [N, C, H, W]; bad ones are zeros.
    """
    if not bad.skip:
        return cached(identity, lambda: decode()[0])
    both = functools.cache(decode)
    images = cached({**identity, "skip": "images"}, lambda: both()[0])
    unreadable = cached({**identity, "skip": "notes"}, lambda: both()[1])
    bad.mark(unreadable.numpy(), decoder.unreadable_error)
    return images


def decode_all(
    decoder: ImageDecoder, total: int, batches: Iterable[tuple[int, Sequence[Encoded]]], *, skip: bool
) -> tuple[Array, Array]:
    """Decode all images of a source, one batch of them in memory at a time.

    Args:
        decoder: How.
        total: Number of images, N.
        batches: Consecutive images, with the row of the first of each batch.
        skip: Whether images that are missing or broken are left as zeros.

    Returns:
        The images, uint8 [N, C, H, W], and which of them could not be read, bool [N].

    Raises:
        DataError: An image cannot be used, or none can.
    """
    images, unreadable = np.empty(0, dtype=np.uint8), np.zeros(total, dtype=np.bool_)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for start, batch in batches:
            if decoder.shape is None:
                first = _first_readable(decoder, start, batch, skip=skip)
                if first is None:
                    unreadable[start : start + len(batch)] = True
                    continue
                decoder = replace(decoder, shape=first.shape)
                images = np.zeros((total, *first.shape), dtype=np.uint8)
            place = _placing(decoder, images, unreadable, skip=skip)
            for _ in pool.map(place, range(start, start + len(batch)), batch):
                pass  # raises what a thread raised, the first row's error first
    if decoder.shape is None:
        raise decoder.unreadable_error(0, f"is no readable image, and none of the {total} is")
    return images, unreadable


def decode_rows(decoder: ImageDecoder, rows: Sequence[int], encoded: Sequence[Encoded]) -> Array:
    """Decode some images of a source that skips none.

    Args:
        decoder: How.
        rows: Row of each, for errors.
        encoded: The images.

    Returns:
        uint8 [B, C, H, W].

    Raises:
        DataError: One of them cannot be used.
    """

    def decode(row: int, data: Encoded) -> Array:
        try:
            return decoder.decode(row, data)
        except UnreadableError as error:
            raise decoder.error_at(row, str(error), "fix it, or drop the row") from error

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        return np.stack(list(pool.map(decode, rows, encoded)))


def _first_readable(
    decoder: ImageDecoder, start: int, batch: Sequence[Encoded], *, skip: bool
) -> Array | None:
    attempt = _attempt(decoder, skip=skip)
    images = (attempt(start + place, data) for place, data in enumerate(batch))
    return next((image for image in images if image is not None), None)


def _placing(
    decoder: ImageDecoder, images: Array, unreadable: Array, *, skip: bool
) -> Callable[[int, Encoded], None]:
    attempt = _attempt(decoder, skip=skip)

    def place(row: int, data: Encoded) -> None:
        image = attempt(row, data)
        if image is None:
            unreadable[row] = True
        else:
            images[row] = image

    return place


def _attempt(decoder: ImageDecoder, *, skip: bool) -> Callable[[int, Encoded], Array | None]:
    def attempt(row: int, data: Encoded) -> Array | None:
        try:
            return decoder.decode(row, data)
        except UnreadableError as error:
            if skip:
                return None
            raise decoder.unreadable_error(row, str(error)) from error

    return attempt
