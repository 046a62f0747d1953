"""Decode images that are files of their own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from l2rw_ray.config.data.source_options import ImageMode, ImageSize
from l2rw_ray.data.cache import cached_kept
from l2rw_ray.data.images.decoding import ImageDecoder, cached_images, decode_all, decoding_identity
from l2rw_ray.data.tables.bad_rows import Array, BadRows
from l2rw_ray.errors import DataError

_AT_A_TIME = 1024


@dataclass(frozen=True)
class ImageFiles:
    """The image files of a source.

    Attributes:
        field: The configuration field that names them, for error messages.
        value: What it says.
        paths: The files, N of them.
        size: Height and width that images are resized to; None leaves them.
        locate: Describes a file by its position; None to use its path.
        mode: Whether they are read as grey or in colour; None for grey if all are.
    """

    field: str
    value: str
    paths: Sequence[Path]
    size: ImageSize | None
    locate: Callable[[int], str] | None = None
    mode: ImageMode | None = None

    def load(self, bad: BadRows) -> Tensor:
        """Decode the files, or read the decoded images from the cache.

        Args:
            bad: Records files that cannot be read.

        Returns:
            uint8 [N − bad, C, H, W]: without the rows marked as bad, here or before.

        Raises:
            DataError: A file cannot be used. The message names it.
        """
        identity: dict[str, object] = {"files": [_identity(path) for path in self.paths]}
        identity |= decoding_identity(self.size, self.mode)
        images = cached_images(identity, lambda: self._decode(skip=bad.skip), self._decoder, bad)
        if not bad.kept.any():
            problem = f"no image can be used ({bad.skipped[0].first})"
            raise DataError(self.field, self.value, problem, "fix the files")
        return cached_kept(identity, images, bad.kept)

    @property
    def _decoder(self) -> ImageDecoder:
        locate = self.locate or (lambda row: str(self.paths[row]))
        resized = "set trial.data.image_size, such as [32, 32]"
        return ImageDecoder(self.field, self.value, locate, resized, self.size, mode=self.mode)

    def _decode(self, *, skip: bool) -> tuple[Array, Array]:
        return decode_all(self._decoder, len(self.paths), self._batches, skip=skip)

    def _batches(self) -> Iterator[tuple[int, Sequence[Path]]]:
        for start in range(0, len(self.paths), _AT_A_TIME):
            yield start, self.paths[start : start + _AT_A_TIME]


def _identity(path: Path) -> list[object]:
    """Return what changes when the file does; a missing file is reported when it is decoded."""
    try:
        found = path.stat()
    except OSError:
        return [str(path)]
    return [str(path), found.st_size, found.st_mtime_ns]
