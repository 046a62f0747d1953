"""CIFAR-10, CIFAR-100, MNIST and Fashion-MNIST in torchvision's form."""

import tempfile
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from l2rw_ray.config.data.sources import Cifar10Data, Cifar100Data, FashionMnistData, MnistData
from l2rw_ray.data.source import SOURCES, Source
from l2rw_ray.data.sources.torchvision_files import inspect_copy
from l2rw_ray.errors import DataError, first_line

TorchvisionData = Cifar10Data | Cifar100Data | MnistData | FashionMnistData
CLASSES_AND_FOLDERS = {
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar100": ("CIFAR100", "cifar-100-python"),
    "mnist": ("MNIST", "MNIST"),
    "fashion_mnist": ("FashionMNIST", "FashionMNIST"),
}
"""Class in `torchvision.datasets`, and its folder under `root`, by source."""

_DAMAGED = (RuntimeError, OSError, ValueError, LookupError, AssertionError, EOFError, UnpicklingError)
"""Exceptions that torchvision's readers raise for missing or damaged files."""


@SOURCES.register("cifar10")
@SOURCES.register("cifar100")
@SOURCES.register("mnist")
@SOURCES.register("fashion_mnist")
def load_torchvision(config: TorchvisionData) -> Source:
    """Load train and test images, uint8 [N, C, H, W]; three channels of 32×32, or one of 28×28.

    Source: Krizhevsky 2009; LeCun et al. 1998; Xiao et al. 2017. torchvision checks the MD5 of CIFAR's
    files, and that of the others' packed ones when it downloads them.

    Raises:
        DataError: They are not under `root` and may not or cannot be downloaded, or are damaged.
    """
    root, folder = Path(config.root).expanduser(), CLASSES_AND_FOLDERS[config.source][1]
    try:
        train, test = _open(config.source, root)
    except _DAMAGED as error:
        if not config.download or (root / folder).exists():
            raise _not_whole(config, root / folder, error) from error
        train, test = _download(config.source, root)
    names = tuple(map(str, train.classes))
    labels, test_labels = (_labels(config, part, names) for part in (train, test))
    return Source(_channels_first(train.data), labels, names, _channels_first(test.data), test_labels)


def _open(source: str, root: Path, *, download: bool = False) -> tuple[Any, Any]:
    from torchvision import datasets

    dataset = getattr(datasets, CLASSES_AND_FOLDERS[source][0])
    return dataset(root, train=True, download=download), dataset(root, train=False)


def _not_whole(config: TorchvisionData, folder: Path, error: Exception) -> DataError:
    if not folder.exists():
        problem = f"holds no whole {folder.name}"
        remedy = f"put {folder.name} there, set trial.data.download to true, or use source parquet"
    else:
        from torchvision import datasets

        dataset = getattr(datasets, CLASSES_AND_FOLDERS[config.source][0])
        fault = inspect_copy(dataset, folder).fault or first_line(error)
        problem = f"holds no whole {folder.name} ({fault})"
        remedy = f"remove {folder.name} and set trial.data.download to true, or put a whole one there"
    return DataError("trial.data.root", config.root, problem, remedy)


def _download(source: str, root: Path) -> tuple[Any, Any]:
    """Download to a temporary folder, then move it into place: several workers may do so at once."""
    folder = CLASSES_AND_FOLDERS[source][1]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            train, test = _open(source, Path(scratch), download=True)
            with suppress(OSError):  # another worker was first
                (Path(scratch) / folder).rename(root / folder)
    except (RuntimeError, OSError, HTTPException) as error:
        problem = f"the download into {root} failed ({first_line(error)})"
        remedy = f"put {folder} into trial.data.root by hand, or use source parquet"
        raise DataError("trial.data.download", True, problem, remedy) from error
    return train, test


def _labels(config: TorchvisionData, part: Any, names: tuple[str, ...]) -> Tensor:
    """Return class indices, int64 [N], one for each image."""
    labels = torch.as_tensor(part.targets).long()
    if len(labels) != len(part.data) or not len(labels):
        problem = f"holds {len(part.data)} images and {len(labels)} labels"
        raise DataError("trial.data.root", config.root, problem, "put a whole copy there")
    outside = ((labels < 0) | (labels >= len(names))).nonzero().flatten()
    if len(outside):
        row = int(outside[0])
        problem = f"label {int(labels[row])} in row {row} is none of the {len(names)} classes"
        raise DataError("trial.data.root", config.root, problem, "put a whole copy there")
    return labels


def _channels_first(images: object) -> Tensor:
    """Return images [N, H, W, C] or, where they are grey, [N, H, W] as uint8 [N, C, H, W]."""
    stored = torch.as_tensor(images)
    return stored.unsqueeze(1) if stored.ndim == 3 else stored.permute(0, 3, 1, 2).contiguous()
