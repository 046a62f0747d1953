"""Image files in one folder per class, as torchvision's `ImageFolder` has them."""

from pathlib import Path

import torch
from torch import Tensor

from l2rw_ray.config.data.sources import ImageFolderData
from l2rw_ray.data.images.files import ImageFiles
from l2rw_ray.data.source import SOURCES, Source
from l2rw_ray.data.tables.bad_rows import BadRows, SkippedRows
from l2rw_ray.errors import DataError

_ENDINGS = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}
"""Those of torchvision's `ImageFolder`."""
_ENDINGS_TEXT = ", ".join(sorted(_ENDINGS))


@SOURCES.register("image_folder")
def load_image_folder(config: ImageFolderData) -> Source:
    """Decode the images of `train/<class>/` and, where it is named, of `test/<class>/`.

    Classes are the folders' names, sorted; examples stand in order of class and path. Files without an
    image's ending and hidden ones are left out. Decoded images are cached on disk by the files' path,
    size and time of change.

    Raises:
        DataError: A folder is missing or has no images; an image cannot be used. The message names it.
    """
    names = _class_names("trial.data.train", config.train)
    inputs, labels, skipped = _read(config, "trial.data.train", config.train, names)
    if config.test is None:
        return Source(inputs, labels, names, skipped=skipped)
    strange = set(_class_names("trial.data.test", config.test)) - set(names)
    if strange:
        problem = f"its folder {min(strange)} is none of the {len(names)} classes of train"
        raise DataError("trial.data.test", config.test, problem, f"use {', '.join(names)}")
    test_inputs, test_labels, test_skipped = _read(config, "trial.data.test", config.test, names)
    if test_inputs.shape[1:] != inputs.shape[1:]:
        shapes = tuple(test_inputs.shape[1:]), tuple(inputs.shape[1:])
        problem = f"images of shape {shapes[0]}, those of train have {shapes[1]}"
        raise DataError("trial.data.test", config.test, problem, "set trial.data.image_size")
    return Source(inputs, labels, names, test_inputs, test_labels, skipped=skipped + test_skipped)


def _read(
    config: ImageFolderData, field: str, given: str, names: tuple[str, ...]
) -> tuple[Tensor, Tensor, tuple[SkippedRows, ...]]:
    """Read images, uint8 [N, C, H, W], their class indices, int64 [N], and what was left out."""
    found = [
        (path, label)
        for label, name in enumerate(names)
        for path in _images(Path(given).expanduser().resolve() / name)
    ]
    bad = BadRows(len(found), skip=config.bad_rows == "skip")
    images = ImageFiles(field, given, [path for path, _ in found], config.image_size).load(bad)
    labels = torch.tensor([label for _, label in found])
    return images, labels[torch.from_numpy(bad.kept)], bad.skipped


def count_images(given: str) -> int:
    """Count the images in the class folders of a folder."""
    root = Path(given).expanduser().resolve()
    return sum(len(_images(path)) for path in root.iterdir() if path.is_dir() and path.name[0] != ".")


def _class_names(field: str, given: str) -> tuple[str, ...]:
    """Return the names of the class folders, each of which holds an image."""
    root = Path(given).expanduser().resolve()
    if not root.is_dir():
        raise DataError(field, given, "no such folder", "give one with a folder of images per class")
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if not names:
        raise DataError(field, given, "no class folders there", "sort the images into one folder per class")
    for name in names:
        if not _images(root / name):
            problem = f"no image in its class folder {name}"
            raise DataError(field, given, problem, f"remove it, or put images there ({_ENDINGS_TEXT})")
    return tuple(names)


def _images(folder: Path) -> list[Path]:
    """Return the image files in a folder and below, sorted; none where there is no such folder."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
    files = (path for path in found if path.is_file())
    return sorted(path for path in files if all(part[0] != "." for part in path.relative_to(folder).parts))
