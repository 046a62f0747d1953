"""scikit-learn's bundled digits: real images that need no download."""

from functools import cache
from importlib.metadata import version

import numpy as np
from torch import Tensor

from l2rw_ray.config.data.sources import DigitsData
from l2rw_ray.data.cache import Array, cached
from l2rw_ray.data.source import SOURCES, Source

_BRIGHTEST, _SIDE = 16, 8


@SOURCES.register("digits")
def load_digits(config: DigitsData) -> Source:  # the source has no options
    """Load 1,797 grey images of 8×8 handwritten digits, rescaled from 0…16 to 0…255.

    Source: Alpaydin & Kaynak 1998, the test part of the UCI optical recognition data set.
    """
    rows = _rows()
    images = rows[:, :-1].reshape(-1, 1, _SIDE, _SIDE)  # a copy
    return Source(images, rows[:, -1].long(), tuple(map(str, range(10))))


@cache
def _rows() -> Tensor:
    """Return the pixels of each image and its label, uint8 [N, 65].

    Decoding the file takes longer than training on it for an epoch, and importing scikit-learn a second.
    """
    identity = {"bundled": "digits", "columns": "pixels, label", "scikit-learn": version("scikit-learn")}
    return cached(identity, _decode)


def _decode() -> Array:
    from sklearn.datasets import load_digits as bundled

    digits = bundled()
    pixels = (digits.data * (255 / _BRIGHTEST)).round()
    return np.column_stack([pixels, digits.target]).astype(np.uint8)
