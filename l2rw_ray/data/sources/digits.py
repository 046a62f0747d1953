"""scikit-learn's bundled digits: real images that need no download."""

from functools import cache

import torch
from torch import Tensor

from l2rw_ray.config.data.sources import DigitsData
from l2rw_ray.data.source import SOURCES, Source

_BRIGHTEST = 16


@SOURCES.register("digits")
def load_digits(config: DigitsData) -> Source:  # the source has no options
    """Load 1,797 grey images of 8×8 handwritten digits, rescaled from 0…16 to 0…255.

    Source: Alpaydin & Kaynak 1998, the test part of the UCI optical recognition data set.
    """
    images, labels = _bundled()
    return Source(images.clone(), labels.clone(), tuple(map(str, range(10))))


@cache
def _bundled() -> tuple[Tensor, Tensor]:
    """Decode the file once per process: it takes longer than training on it for an epoch."""
    from sklearn.datasets import load_digits as bundled

    digits = bundled()
    images = torch.from_numpy(digits.images).mul(255 / _BRIGHTEST).round().to(torch.uint8)
    return images.unsqueeze(1), torch.from_numpy(digits.target).long()
