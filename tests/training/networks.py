"""Networks whose every forward draws random numbers, or that keep more than parameters."""

import random
from math import prod

import numpy as np
from torch import Tensor, nn


def dropping(input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Two layers with dropout between them."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(prod(input_shape), 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, outputs)
    )


class _Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        legacy = np.random.random_sample()  # noqa: NPY002  # what a user's model may draw from
        return x + 0.01 * (legacy + random.random()) if self.training else x


def normalised(input_shape: tuple[int, ...], outputs: int, noisy: bool = False) -> nn.Module:
    """Batch normalisation and dropout; on request, noise by NumPy's and Python's generators too."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(input_shape), 16),
        nn.BatchNorm1d(16),
        *([_Noise()] if noisy else []),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(16, outputs),
    )
