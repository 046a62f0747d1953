"""Where the examples come from."""

from math import tau

import torch

from l2rw_ray.data import Source


def load(examples: int = 3000, classes: int = 3, turns: float = 0.5, blur: float = 0.15) -> Source:
    """Points on interleaved spirals in the plane, one spiral per class.

    The same options must always give the same examples.

    Args:
        examples: How many points, of all classes together.
        classes: How many spirals.
        turns: Turns of a spiral from its centre to its end.
        blur: Standard deviation of a point's angle, in radians.
    """
    generator = torch.Generator().manual_seed(0)
    labels_N = torch.arange(examples) % classes
    radius_N = torch.rand(examples, generator=generator)
    angle_N = tau * (labels_N / classes + turns * radius_N)
    angle_N += blur * torch.randn(examples, generator=generator)
    points_NF = torch.stack([radius_N * angle_N.cos(), radius_N * angle_N.sin()], dim=1)
    return Source(points_NF, labels_N, tuple(f"spiral {number}" for number in range(classes)))
