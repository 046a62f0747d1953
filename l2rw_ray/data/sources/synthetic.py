"""Points of a known distribution, so that the difficulty of each example is known."""

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.data.sources import SyntheticData
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.source import SOURCES, Source

_CURVE_POINTS = 512
"""Points per class that represent the curve when densities are computed."""
_INNER_RADIUS = 0.5


@SOURCES.register("synthetic")
def load_synthetic(config: SyntheticData) -> Source:
    """Draw points of a shape with Gaussian noise of deviation 1 around them, float32 [N, F].

    Difficulty is the probability, given an example's position, that it is of another class: one minus the
    posterior of its own class under the distribution it was drawn from.
    """
    size, classes = config.size, config.classes
    labels = torch.arange(size) % classes
    labels = labels[torch.randperm(size, generator=rng_for(config.seed, "synthetic labels"))]
    noise = torch.randn(size, config.features, generator=rng_for(config.seed, "synthetic noise"))
    curves = [points.float().mul(config.separation) for points in figure(config)]
    place = torch.rand(size, generator=rng_for(config.seed, "synthetic places"))
    inputs, shown = noise, config.figure_features
    for label, points in enumerate(curves):
        own = (labels == label).nonzero().flatten()
        inputs[own, :shown] += points[(place[own] * len(points)).long()]
    names = tuple(map(str, range(classes)))
    return Source(inputs, labels, names, difficulty=_difficulty(inputs[:, :shown], labels, curves))


def figure(config: SyntheticData) -> list[Tensor]:
    """Return each class's points without noise, float64 [P, shown]: a corner of the unit cube, or a curve."""
    if config.kind == "cube":
        bits = torch.arange(config.figure_features)
        return [((label >> bits) & 1).double()[None] for label in range(config.classes)]
    from sklearn.datasets import make_circles, make_moons

    both = (_CURVE_POINTS, _CURVE_POINTS)
    if config.kind == "moons":
        points, labels = make_moons(both, shuffle=False)
    else:
        points, labels = make_circles(both, shuffle=False, factor=_INNER_RADIUS)
    return [torch.from_numpy(np.ascontiguousarray(points[labels == label])) for label in range(2)]


def _difficulty(shown_NF: Tensor, labels_N: Tensor, curves: list[Tensor]) -> Tensor:
    """Compute 1 − P(own class | place), float32 [N]; a class's density is the mean over its points."""
    logs = [
        torch.cdist(shown_NF, points).square().mul(-0.5).logsumexp(1) - np.log(len(points))
        for points in curves
    ]
    posterior_NC = torch.stack(logs, dim=1).softmax(dim=1)
    return 1 - posterior_NC.gather(1, labels_N[:, None]).squeeze(1)
