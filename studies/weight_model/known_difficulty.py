"""A regression whose targets are as noisy as a known feature says: ground truth for learned weights."""

import torch

from l2rw_ray.data import Source, regression_source


def load(examples: int = 3000) -> Source:
    """Points of five features with a smooth target; the last feature is the difficulty.

    The study's Gaussian noise, whose scale follows that feature (`by: difficulty`), makes train targets
    noisy. Meta, validation and test set have the targets as they are.

    Args:
        examples: How many points.
    """
    generator = torch.Generator().manual_seed(0)
    points_NF = torch.randn(examples, 5, generator=generator)
    targets_N = torch.sin(2 * points_NF[:, 0]) + points_NF[:, 1] * points_NF[:, 2] + 0.5 * points_NF[:, 3]
    return regression_source(
        points_NF,
        targets_N,
        feature_names=("a", "b", "c", "d", "difficulty"),
        weight_features=points_NF[:, 4:],
    )
