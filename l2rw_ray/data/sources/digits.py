"""scikit-learn's bundled digits: real images that need no download."""

import torch

from l2rw_ray.config.data.sources import DigitsData
from l2rw_ray.data.source import SOURCES, Source

_BRIGHTEST = 16


@SOURCES.register("digits")
def load_digits(config: DigitsData) -> Source:  # the source has no options
    """1,797 grey images of 8×8 handwritten digits, rescaled from 0…16 to 0…255.

    Source: Alpaydin & Kaynak 1998, the test part of the UCI optical recognition data set.
    """
    from sklearn.datasets import load_digits as bundled

    digits = bundled()
    inputs = torch.from_numpy(digits.images).mul(255 / _BRIGHTEST).round().to(torch.uint8)
    return Source(inputs.unsqueeze(1), torch.from_numpy(digits.target).long(), tuple(map(str, range(10))))
