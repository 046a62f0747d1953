"""Classes in space whose labels are wrong with a known probability: ground truth for learned weights.

Shape suffixes: N examples, F weight features.
"""

import torch
from torch import Tensor

from l2rw_ray.data import Source


def load(examples: int = 3000, classes: int = 4, worst: float = 0.9, distractors: int = 2) -> Source:
    """Blobs of points, one for each class; train labels are wrong as the first weight feature says.

    A wrong label is that of the next class, so that beyond a rate of one half the wrong one is the rule.
    Meta, validation and test set have the right labels. The features tell nothing about the class.

    Args:
        examples: How many points, of all classes together.
        classes: How many blobs.
        worst: Probability of a wrong label where the first feature is large, from 0 to 1.
        distractors: Weight features that have nothing to do with it.
    """
    generator = torch.Generator().manual_seed(0)
    labels_N = torch.arange(examples) % classes
    centres = 0.7 * torch.randn(classes, 10, generator=generator)
    points = centres[labels_N] + torch.randn(examples, 10, generator=generator)
    features_NF = torch.randn(examples, 1 + distractors, generator=generator)
    wrong_N = torch.rand(examples, generator=generator) > reliability(features_NF, worst)
    return Source(
        points,
        labels_N,
        tuple(f"blob {number}" for number in range(classes)),
        weight_features=features_NF,
        train_labels=torch.where(wrong_N, (labels_N + 1) % classes, labels_N),
    )


def reliability(features_NF: Tensor, worst: float = 0.9) -> Tensor:
    """Probability that the label of an example is right, [N]."""
    return 1 - worst * torch.sigmoid(3 * features_NF[:, 0])
