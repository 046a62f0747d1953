"""Image files in one folder per class, as torchvision's `ImageFolder` has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from l2rw_ray.config.data.sources import ImageFolderData
from l2rw_ray.data.images.files import ImageFiles
from l2rw_ray.data.natural_order import in_natural_order
from l2rw_ray.data.row_ids import distinct_names
from l2rw_ray.data.source import NO_CLASS, SOURCES, Source
from l2rw_ray.data.sources.class_values import look_alikes
from l2rw_ray.data.tables.bad_rows import BadRows, SkippedRows
from l2rw_ray.errors import DataError

_ENDINGS = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}
"""Those of torchvision's `ImageFolder`."""
_ENDINGS_TEXT = ", ".join(sorted(_ENDINGS))


@dataclass(frozen=True)
class _Folder:
    """A folder of class folders that an option of the section names.

    Attributes:
        option: `train`, `trusted`, `meta`, `validation` or `test`.
        given: Its value.
        images: Its image files.
        labels: Class index of each.
        others: Its files, but for hidden ones, that are left out.
    """

    option: str
    given: str
    images: tuple[Path, ...]
    labels: tuple[int, ...]
    others: tuple[Path, ...]

    @property
    def field(self) -> str:
        """The option's path in a study."""
        return f"trial.data.{self.option}"

    @property
    def warning(self) -> str | None:
        """A sentence on the files that are left out; None where there are none."""
        if not self.others:
            return None
        count, first = len(self.others), self.others[0]
        why = "beside the class folders" if first.suffix.lower() in _ENDINGS else "without an image's ending"
        files = "1 file is" if count == 1 else f"{count:,} files are"
        return f"{files} left out in the folder of {self.option}, such as {first}, {why}"


@dataclass(frozen=True)
class _Read:
    """Usable images of folders, one after the other: N of them.

    Attributes:
        inputs: uint8 [N, C, H, W].
        labels: Class indices, int64 [N].
        owner: Number of the folder of each, int64 [N].
        paths: The file of each.
        skipped: What was left out.
    """

    inputs: Tensor
    labels: Tensor
    owner: Tensor
    paths: tuple[str, ...]
    skipped: tuple[SkippedRows, ...]


@SOURCES.register("image_folder")
def load_image_folder(config: ImageFolderData) -> Source:
    """Decode the images of `train/<class>/` and of the other folders that are named, of the same form.

    Classes are the folders' names in `train` in natural order, 2 before 10; examples stand in order of class
    and path. Files without an image's ending are left out with a warning, hidden ones without. Labels of
    `train` count as right unless `trusted` or `meta` is named. Decoded images are cached on disk by the
    files' path, size and time of change.

    Raises:
        DataError: A folder is missing or has no images; an image cannot be used, or is in two folders. The
            message names it.
    """
    names = _class_names("trial.data.train", config.train)
    named = {"train": config.train, "trusted": config.trusted, **config.set_files}
    folders = [_find(option, given, names) for option, given in named.items() if given is not None]
    tests = [] if config.test is None else [_find("test", config.test, names)]
    _check_images_differ([*folders, *tests])
    own, test = _read(config, folders), _read(config, tests) if tests else None
    if test is not None and test.inputs.shape[1:] != own.inputs.shape[1:]:
        shapes = tuple(test.inputs.shape[1:]), tuple(own.inputs.shape[1:])
        problem = f"images of shape {shapes[0]}, those of train have {shapes[1]}"
        is_colour = test.inputs.shape[1] != own.inputs.shape[1]
        remedy = "set trial.data.image_mode to rgb" if is_colour else "set trial.data.image_size"
        raise DataError("trial.data.test", config.test, problem, remedy)
    left_out = (folder.warning for folder in (*folders, *tests))
    texts = distinct_names(own.paths + (() if test is None else test.paths))
    return Source(
        own.inputs,
        own.labels,
        names,
        None if test is None else test.inputs,
        None if test is None else test.labels,
        skipped=own.skipped + (() if test is None else test.skipped),
        ids=texts[: len(own.paths)],
        test_ids=None if test is None else texts[len(own.paths) :],
        warnings=(*(text for text in left_out if text is not None), *look_alikes(names)),
        **_trust(config, [folder.option for folder in folders], own),
    )


def _trust(config: ImageFolderData, options: Sequence[str], read: _Read) -> dict[str, Any]:
    """Return what says which labels are verified and which rows are for one set alone: fields of `Source`."""
    pools = dict[str, range]()
    verified_N = torch.ones(len(read.labels), dtype=torch.bool)
    for number, option in enumerate(options):
        rows_N = read.owner == number
        if option in ("meta", "validation"):
            start = int((read.owner < number).sum())
            pools[option] = range(start, start + int(rows_N.sum()))
        if (option == "train" and config.knows_verified) or (
            option == "validation" and config.selects_by_given
        ):
            verified_N[rows_N] = False
    if verified_N.all():
        return {"pools": pools}
    given_N = read.labels.masked_fill(verified_N & (read.owner > 0), NO_CLASS)
    return {
        "pools": pools,
        "verified": verified_N,
        "train_labels": given_N if config.knows_verified else None,
    }


def _find(option: str, given: str, names: tuple[str, ...]) -> _Folder:
    """Find the images of a folder, whose class folders are some of the classes."""
    strange = set(_class_names(f"trial.data.{option}", given)) - set(names)
    if strange:
        problem = f"its folder {min(strange)} is none of the {len(names)} classes of train"
        raise DataError(f"trial.data.{option}", given, problem, f"use {', '.join(names)}")
    root = Path(given).expanduser().resolve()
    found = [(path, label) for label, name in enumerate(names) for path in _images(root / name)]
    others = _others(root, [path for path, _ in found])
    return _Folder(
        option, given, tuple(path for path, _ in found), tuple(label for _, label in found), others
    )


def _read(config: ImageFolderData, folders: Sequence[_Folder]) -> _Read:
    paths = [path for folder in folders for path in folder.images]
    bad = BadRows(len(paths), skip=config.bad_rows == "skip")
    files = ImageFiles(folders[0].field, folders[0].given, paths, config.image_size, mode=config.image_mode)
    images = files.load(bad)
    kept = torch.from_numpy(bad.kept)
    labels = torch.tensor([label for folder in folders for label in folder.labels])
    owner = torch.tensor([number for number, folder in enumerate(folders) for _ in folder.images])
    left = tuple(str(path) for path, is_left in zip(paths, bad.kept.tolist(), strict=True) if is_left)
    return _Read(images, labels[kept], owner[kept], left, bad.skipped)


def _check_images_differ(folders: Sequence[_Folder]) -> None:
    """Check that no image is in two folders: it would be in two sets."""
    owners: dict[Path, str] = {}
    for folder in folders:
        for path in folder.images:
            owner = owners.setdefault(path, folder.option)
            if owner != folder.option:
                problem = f"its image {path} is in {owner}, too"
                raise DataError(folder.field, folder.given, problem, "move it out of one of the two")


def count_images(given: str) -> int:
    """Count the images in the class folders of a folder."""
    root = Path(given).expanduser().resolve()
    return sum(len(_images(path)) for path in root.iterdir() if path.is_dir() and path.name[0] != ".")


def _class_names(field: str, given: str) -> tuple[str, ...]:
    """Return the names of the class folders, each of which holds an image."""
    root = Path(given).expanduser().resolve()
    if not root.is_dir():
        raise DataError(field, given, "no such folder", "give one with a folder of images per class")
    names = in_natural_order(path.name for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if not names:
        raise DataError(field, given, "no class folders there", "sort the images into one folder per class")
    for name in names:
        if not _images(root / name):
            problem = f"no image in its class folder {name}"
            raise DataError(field, given, problem, f"remove it, or put images there ({_ENDINGS_TEXT})")
    return tuple(names)


def _images(folder: Path) -> list[Path]:
    """Return the image files in a folder and below, sorted; none where there is no such folder."""
    return [path for path in _visible_files(folder) if path.suffix.lower() in _ENDINGS]


def _others(folder: Path, images: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files in a folder and below that are none of some images, sorted."""
    known = set(images)
    return tuple(path for path in _visible_files(folder) if path not in known)


def _visible_files(folder: Path) -> list[Path]:
    """Return the files in a folder and below, sorted, without those that are hidden or in a hidden folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if all(part[0] != "." for part in path.relative_to(folder).parts))
