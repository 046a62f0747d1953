"""CIFAR-10 in torchvision's form."""

import tempfile
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from l2rw_ray.config.data import Cifar10Data
from l2rw_ray.data.source import SOURCES, Source
from l2rw_ray.errors import DataError

_FOLDER = "cifar-10-batches-py"


@SOURCES.register("cifar10")
def load_cifar10(config: Cifar10Data) -> Source:
    """50,000 train and 10,000 test images of 32×32×3, uint8 [N, 3, 32, 32].

    Source: Krizhevsky 2009; torchvision checks the files' MD5.

    Raises:
        DataError: They are not under `root` and may not or cannot be downloaded.
    """
    root = Path(config.root).expanduser()
    try:
        train, test = _open(root)
    except (RuntimeError, OSError) as error:
        if not config.download:
            raise DataError(
                "trial.data.root",
                config.root,
                f"holds no whole {_FOLDER}",
                f"put {_FOLDER} there, set trial.data.download to true, or use source parquet",
            ) from error
        train, test = _download(root)
    return Source(
        _channels_first(train.data),
        torch.tensor(train.targets),
        tuple(train.classes),
        _channels_first(test.data),
        torch.tensor(test.targets),
    )


def _open(root: Path, *, download: bool = False) -> tuple[Any, Any]:
    from torchvision.datasets import CIFAR10

    return CIFAR10(root, train=True, download=download), CIFAR10(root, train=False)


def _download(root: Path) -> tuple[Any, Any]:
    """Download beside the place and move there when whole: several workers may do so at once."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            train, test = _open(Path(scratch), download=True)
            with suppress(OSError):  # another worker was first
                (Path(scratch) / _FOLDER).rename(root / _FOLDER)
    except (RuntimeError, OSError, HTTPException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            "trial.data.download",
            True,
            f"the download into {root} failed ({reason})",
            f"put {_FOLDER} into trial.data.root by hand, or use source parquet",
        ) from error
    return train, test


def _channels_first(images: object) -> Tensor:
    return torch.as_tensor(images).permute(0, 3, 1, 2).contiguous()
