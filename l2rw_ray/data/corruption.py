"""Label noise."""

import torch
from torch import Tensor


def uniform_noise(
    labels_N: Tensor, rate: float, classes: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Flip a fraction of labels to another class, each other class equally likely.

    Exactly round(rate · N) labels are flipped. For one generator state the labels flipped at a
    lower rate are among those flipped at a higher one, to the same classes.

    Args:
        labels_N: Clean labels, [N].
        rate: Fraction to flip, 0 to 1.
        classes: Number of classes, at least 2.
        generator: Where the draws come from.

    Returns:
        The labels after flipping, and which were flipped, both [N].

    Source:
        "UniformFlip" of Ren et al. 2018, section 4.3, with the number of flips fixed.
    """
    count = len(labels_N)
    order_N = torch.randperm(count, generator=generator)
    shift_N = torch.randint(1, classes, (count,), generator=generator)
    corrupted_N = torch.zeros(count, dtype=torch.bool)
    corrupted_N[order_N[: round(rate * count)]] = True
    return torch.where(corrupted_N, (labels_N + shift_N) % classes, labels_N), corrupted_N
