"""A small regression with features to weigh examples by."""

import torch

from l2rw_ray.data import Source, regression_source


def load() -> Source:
    """300 examples on a plane with little noise, in the thousands, with two random weight features."""
    generator = torch.Generator().manual_seed(0)
    x, known = torch.randn(300, 3, generator=generator), torch.randn(300, 2, generator=generator)
    y = 5000 + 2000 * (x[:, 0] - 0.5 * x[:, 1]) + 100 * torch.randn(300, generator=generator)
    return regression_source(x, y, feature_names=("a", "b", "c"), weight_features=known)


SOURCE = "tests.methods.lines:load"
