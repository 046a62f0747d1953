"""CIFAR-10 in torchvision's form."""

from pathlib import Path

import torch
from torch import Tensor

from l2rw_ray.config.data import Cifar10Data
from l2rw_ray.data.source import Source, register
from l2rw_ray.errors import DataError


@register("cifar10")
def load_cifar10(config: Cifar10Data) -> Source:
    """50,000 train and 10,000 test images of 32×32×3.

    Raises:
        DataError: They are not under `root` and cannot be downloaded.
    """
    from torchvision.datasets import CIFAR10

    root = Path(config.root).expanduser()
    try:
        train, test = (CIFAR10(root, train=part, download=config.download) for part in (True, False))
    except (RuntimeError, OSError) as error:
        raise _missing(config, error) from error
    return Source(
        _channels_first(train.data),
        torch.tensor(train.targets),
        tuple(train.classes),
        _channels_first(test.data),
        torch.tensor(test.targets),
    )


def _channels_first(images: object) -> Tensor:
    return torch.as_tensor(images).permute(0, 3, 1, 2).contiguous()


def _missing(config: Cifar10Data, error: Exception) -> DataError:
    if config.download:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return DataError(
            "trial.data.download",
            True,
            f"the download failed ({reason})",
            "put cifar-10-batches-py into root",
        )
    return DataError(
        "trial.data.root",
        config.root,
        "holds no whole cifar-10-batches-py",
        "set trial.data.download=true, or use source parquet",
    )
