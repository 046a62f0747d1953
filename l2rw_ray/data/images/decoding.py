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
from PIL import Image, ImageFile
from torch import Tensor

from l2rw_ray.config.data.source_options import ImageMode, ImageSize
from l2rw_ray.data.cache import cached
from l2rw_ray.data.tables.bad_rows import Array, BadRows
from l2rw_ray.errors import DataError
from l2rw_ray.limits import MAX_PIXELS, MAX_SCANS, grows_too_much

Image.MAX_IMAGE_PIXELS = None  # the limit is checked below, with a message that says where
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that Pillow decodes by itself: for others, such as EPS, it runs programs."""
_SCAN, _PART_BYTES = b"\xff\xda", 2**20
_THREADS = 8
_GREY = ("1", "L", "LA", "La")
_DEEP = ("I", "F")
_MODES = {"grey": "L", "rgb": "RGB"}
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
)
"""Exceptions that Pillow's decoders raise on broken files."""
Encoded = bytes | Path | None
Batches = Iterable[tuple[int, Sequence[Encoded]]]


_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image upright, by the orientation that its EXIF data say."""


class ColourError(Exception):
    """An image is in colour though the first one is grey; its first argument is its row."""


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
        shape: Shape of all images; None until the first is decoded.
        mode: Whether they are read as grey or in colour; None for grey if all are.
    """

    field: str
    value: str
    locate: Callable[[int], str]
    resized: str
    size: ImageSize | None = None
    shape: tuple[int, ...] | None = None
    mode: ImageMode | None = None

    def decode(self, row: int, data: Encoded) -> Array:
        """Decode one image, uint8 [C, H, W].

        Raises:
            UnreadableError: It is missing or broken.
            ColourError: It is the first one in colour, and `mode` leaves open how to read it.
            DataError: It has more than eight bits per channel, or not the shape of the first.
        """
        if data is None:
            raise UnreadableError("holds no image")
        try:
            file = data if isinstance(data, Path) else io.BytesIO(data)
            with Image.open(file, formats=_FORMATS) as encoded:
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

    def _pixels(self, row: int, encoded: ImageFile.ImageFile) -> Array:
        if encoded.mode.startswith(_DEEP):
            problem = f"has mode {encoded.mode}, more than 8 bits"
            raise self.error_at(row, problem, "convert the images to 8 bits")
        if encoded.width * encoded.height > MAX_PIXELS:
            problem = f"has {encoded.width:,} × {encoded.height:,} pixels, more than {MAX_PIXELS:,}"
            raise self.error_at(row, problem, "make it smaller")
        if encoded.info.get("progressive") and _scans(encoded) > MAX_SCANS:
            raise self.error_at(row, f"has more than {MAX_SCANS} scans", "save it anew")
        converted = _upright(encoded).convert(_MODES[self._mode_of(row, encoded)])
        if self.size is not None:
            height, width = self.size
            converted = converted.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(converted)

    def _mode_of(self, row: int, encoded: Image.Image) -> ImageMode:
        """Return how to read an image."""
        is_grey = encoded.mode in _GREY
        if self.mode is not None:
            return self.mode
        if self.shape is None:
            return "grey" if is_grey else "rgb"
        if self.shape[0] == 1 and not is_grey:
            raise ColourError(row)
        return "grey" if self.shape[0] == 1 else "rgb"


def _scans(encoded: ImageFile.ImageFile) -> int:
    """Return the number of scans of a JPEG file, each of which goes over all pixels again."""
    file, count, last = encoded.fp, 0, b""
    assert file is not None
    file.seek(0)
    while part := file.read(_PART_BYTES):
        count += (last + part).count(_SCAN)
        last = part[-1:]
    return count


def _upright(encoded: Image.Image) -> Image.Image:
    """Return an image turned as its EXIF data say."""
    encoded.load()  # Pillow turns TIFF images itself
    try:
        orientation = encoded.getexif().get(_ORIENTATION)
    except _UNREADABLE:  # broken EXIF data are no broken image
        return encoded
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return encoded if turn is None else encoded.transpose(turn)


def decoding_identity(size: ImageSize | None, mode: ImageMode | None) -> dict[str, object]:
    """Return what changes when encoded images are decoded otherwise, for the cache."""
    given = {"size": size, "mode": mode}
    return {"upright": True} | {name: value for name, value in given.items() if value is not None}


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
    decoder: ImageDecoder, total: int, batches: Callable[[], Batches], *, skip: bool
) -> tuple[Array, Array]:
    """Decode all images of a source, one batch of them in memory at a time.

    Where grey images come before one in colour, all are decoded once more, in colour.

    Args:
        decoder: How.
        total: Number of images, N.
        batches: Returns consecutive images, with the row of the first of each batch.
        skip: Whether images that are missing or broken are left as zeros.

    Returns:
        The images, uint8 [N, C, H, W], and which of them could not be read, bool [N].

    Raises:
        DataError: An image cannot be used, or none can.
    """
    try:
        return _decode_batches(decoder, total, batches(), skip=skip)
    except ColourError:
        return _decode_batches(replace(decoder, mode="rgb"), total, batches(), skip=skip)


def _decode_batches(
    decoder: ImageDecoder, total: int, batches: Batches, *, skip: bool
) -> tuple[Array, Array]:
    images, unreadable = np.empty(0, dtype=np.uint8), np.zeros(total, dtype=np.bool_)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for start, batch in batches:
            if decoder.shape is None:
                first = _first_readable(decoder, start, batch, skip=skip)
                if first is None:
                    unreadable[start : start + len(batch)] = True
                    continue
                decoder = replace(decoder, shape=first.shape)
                _check_size(decoder, start, total * first.nbytes, total * _encoded_bytes(batch))
                images = np.zeros((total, *first.shape), dtype=np.uint8)
            place = _placing(decoder, images, unreadable, skip=skip)
            for _ in pool.map(place, range(start, start + len(batch)), batch):
                pass  # raises what a thread raised, the first row's error first
    if decoder.shape is None:
        raise decoder.unreadable_error(0, f"is no readable image, and none of the {total} is")
    return images, unreadable


def _encoded_bytes(batch: Sequence[Encoded]) -> int:
    """Return the mean size of some images before they are decoded; a missing file has none."""

    def size(image: Encoded) -> int:
        if isinstance(image, Path):
            return image.stat().st_size if image.is_file() else 0
        return len(image or b"")

    return sum(map(size, batch)) // max(len(batch), 1)


def _check_size(decoder: ImageDecoder, row: int, decoded: int, encoded: int) -> None:
    """Check that images do not take far more memory than their files can be worth.

    Raises:
        DataError: They do.
    """
    if grows_too_much(decoded, encoded):
        problem = f"and the others would take {decoded / 2**30:.1f} GiB, their files are of {encoded:,} bytes"
        raise decoder.error_at(row, problem, "give pictures that show something")


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
        except ColourError as error:
            problem = "is in colour, the first image is grey"
            raise decoder.error_at(row, problem, "set trial.data.image_mode to rgb, or to grey") from error

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
