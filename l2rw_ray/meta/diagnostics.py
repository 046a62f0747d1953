"""Figures that tell whether weights are healthy."""

import torch
from torch import Tensor


def effective_sample_size(weights_B: Tensor) -> Tensor:
    """(Σw)²/Σw², in examples: B for equal weights, 1 when one example has all, 0 when none has any."""
    squares = weights_B.square().sum()
    return torch.where(squares > 0, weights_B.sum().square() / squares, torch.zeros_like(squares))


def zero_weight_fraction(weights_B: Tensor) -> Tensor:
    """Fraction of examples whose weight is exactly zero."""
    return (weights_B == 0).double().mean()
