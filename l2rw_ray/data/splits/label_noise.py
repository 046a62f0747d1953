"""Label noise.

For one generator state, the labels flipped at a lower rate are a subset of those flipped at a higher one and,
except for `class_conditional`, are flipped to the same classes. At one rate `uniform_noise` and `pair_noise`
flip the same labels.
"""

import torch
from torch import Tensor

from l2rw_ray.config.data.protocols import (
    BackgroundNoise,
    ClassConditionalNoise,
    LabelNoise,
    NoNoise,
    PairNoise,
    UniformNoise,
)
from l2rw_ray.data.source import Source
from l2rw_ray.errors import DataError


def corrupt(
    labels_N: Tensor, noise: LabelNoise, source: Source, generator: torch.Generator, field: str
) -> tuple[Tensor, Tensor]:
    """Apply label noise.

    Args:
        labels_N: Clean labels, [N].
        noise: The kind of noise.
        source: The source of the classes.
        generator: Random number generator.
        field: Where the noise is configured, such as `trial.data.noise`, for errors.

    Returns:
        The labels after flipping, and which were flipped, both [N].

    Raises:
        DataError: The source lacks the background class, or has not as many classes as the matrix.
    """
    classes = len(source.class_names)
    match noise:
        case NoNoise():
            return labels_N, torch.zeros_like(labels_N, dtype=torch.bool)
        case UniformNoise():
            return uniform_noise(labels_N, noise.rate, classes, generator)
        case BackgroundNoise():
            background = source.class_index(noise.background, f"{field}.class")
            return background_noise(labels_N, noise.rate, background, generator)
        case PairNoise():
            return pair_noise(labels_N, noise.rate, classes, generator)
        case ClassConditionalNoise():
            _check_same_classes(len(noise.matrix), classes, f"{field}.matrix")
            matrix_CC = torch.tensor(noise.matrix, dtype=torch.float64)
            return class_conditional_noise(labels_N, matrix_CC, generator)


def uniform_noise(
    labels_N: Tensor, rate: float, classes: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Flip a fraction of labels to another class, each other class equally likely.

    Exactly round(rate · N) labels are flipped.

    Args:
        labels_N: Clean labels, [N].
        rate: Fraction to flip, 0 to 1.
        classes: Number of classes, at least 2.
        generator: Random number generator.

    Returns:
        The labels after flipping, and which were flipped, both [N].

    Source:
        "UniformFlip" of Ren et al. 2018, section 4.3, with the number of flips fixed. Their released
        code draws a new label that may be the old one, and never the last class.
    """
    corrupted_N = _chosen(torch.ones_like(labels_N, dtype=torch.bool), rate, generator)
    shift_N = torch.randint(1, classes, labels_N.shape, generator=generator)
    return torch.where(corrupted_N, (labels_N + shift_N) % classes, labels_N), corrupted_N


def background_noise(
    labels_N: Tensor, rate: float, background: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Flip a fraction of the labels of other classes to one class.

    Exactly round(rate · n) labels are flipped, n being the examples of other classes; the background
    class keeps its own.

    Args:
        labels_N: Clean labels, [N].
        rate: Fraction of the n labels to flip, 0 to 1.
        background: Index of the class they are flipped to.
        generator: Random number generator.

    Returns:
        The labels after flipping, and which were flipped, both [N].

    Source:
        "BackgroundFlip" of Ren et al. 2018, section 4.3, with the number of flips fixed. Their released
        code draws the fraction from all labels and leaves those of the background class: as many of the
        others on average. Its background class is random.
    """
    corrupted_N = _chosen(labels_N != background, rate, generator)
    return labels_N.masked_fill(corrupted_N, background), corrupted_N


def pair_noise(
    labels_N: Tensor, rate: float, classes: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Flip a fraction of labels to the next class, those of the last class to the first.

    Exactly round(rate · N) labels are flipped, each equally likely in every class.

    Args:
        labels_N: Clean labels, [N].
        rate: Fraction to flip, 0 to 1.
        classes: Number of classes, at least 2.
        generator: Random number generator.

    Returns:
        The labels after flipping, and which were flipped, both [N].

    Source:
        "Pair flipping" of Han et al. 2018 (arXiv:1804.06872), with the number of flips fixed.
    """
    corrupted_N = _chosen(torch.ones_like(labels_N, dtype=torch.bool), rate, generator)
    return torch.where(corrupted_N, (labels_N + 1) % classes, labels_N), corrupted_N


def class_conditional_noise(
    labels_N: Tensor, matrix_CC: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw labels given the true class.

    Of the n examples of a class, n · P examples get a label of probability P, rounded up or down at
    random so that this holds exactly on average, in the rarest class too (systematic sampling). For one
    generator state the labels flipped are among those flipped by any matrix with a smaller diagonal.

    Args:
        labels_N: Clean labels, [N].
        matrix_CC: Probability of each label (column) given the true class (row), float64 [C, C].
        generator: Random number generator.

    Returns:
        The labels after flipping, and which were flipped, both [N].

    Source:
        The transition matrix of Patrini et al. 2017 (arXiv:1609.03683), with the numbers of flips fixed.
    """
    classes = len(matrix_CC)
    row_C = torch.arange(classes)
    own_first_CC = (row_C.unsqueeze(1) + row_C) % classes
    limits_CC = matrix_CC.gather(1, own_first_CC).cumsum(dim=1)
    limits_CC = limits_CC / limits_CC[:, -1:] + row_C.unsqueeze(1)  # rows end to end: one search for all
    place_N = labels_N + _place_in_class(labels_N, classes, generator)
    shift_N = torch.searchsorted(limits_CC.flatten(), place_N, right=True) - labels_N * classes
    noisy_N = (labels_N + shift_N) % classes
    return noisy_N, noisy_N != labels_N


def _place_in_class(labels_N: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    """Return positions evenly spread over [0, 1) within each class, from a random start, float64 [N]."""
    order_N = torch.randperm(len(labels_N), generator=generator)
    start_C = torch.rand(classes, dtype=torch.float64, generator=generator)
    by_class = order_N[labels_N[order_N].argsort(stable=True)]
    counts_C = labels_N.bincount(minlength=classes)
    rank_N = torch.empty_like(labels_N)
    rank_N[by_class] = torch.arange(len(labels_N)) - (counts_C.cumsum(0) - counts_C)[labels_N[by_class]]
    return (rank_N + start_C[labels_N]) / counts_C[labels_N]


def _chosen(eligible_N: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Choose the labels to flip: exactly round(rate · n) of the n eligible ones, bool [N]."""
    order_N = torch.randperm(len(eligible_N), generator=generator)
    order_N = order_N[eligible_N[order_N]]
    chosen_N = torch.zeros_like(eligible_N)
    chosen_N[order_N[: round(rate * len(order_N))]] = True
    return chosen_N


def _check_same_classes(rows: int, classes: int, field: str) -> None:
    if rows != classes:
        problem = f"the sets have {classes} classes"
        raise DataError(field, f"{rows} × {rows}", problem, f"give {classes} rows of {classes}")
