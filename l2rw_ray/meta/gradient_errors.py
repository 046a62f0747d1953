"""Lengths, products and differences of gradients in double precision, of whole and of sharded ones.

Shape suffixes: B train batch of this rank.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from l2rw_ray.meta.sharding.parts import local_part, sum_over_shards


def largest_difference(expected_B: Tensor, found_B: Tensor) -> float:
    """Return the largest difference relative to the largest entry; infinite ones must be the same."""
    expected_B, found_B = expected_B.double(), found_B.double()
    same_B = (expected_B == found_B) | (expected_B.isnan() & found_B.isnan())
    if same_B.all():
        return 0.0
    largest = expected_B[expected_B.isfinite()].abs().max() if expected_B.isfinite().any() else 0.0
    return in_units_of((expected_B - found_B)[~same_B].abs().max(), float(largest))


def in_units_of(difference: Tensor | float, scale: float) -> float:
    """Return a difference in units of a scale; infinite where it is not a number."""
    value = float(difference)
    if not math.isfinite(value):
        return math.inf
    return value / scale if scale else (math.inf if value else 0.0)


def inner(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> Tensor:
    """Compute ⟨left, right⟩ in double precision, a scalar."""
    products = [
        torch.dot(local_part(left[name]).double().flatten(), local_part(part).double().flatten())
        for name, part in right.items()
    ]
    return sum_over_shards(torch.stack(products).sum(), right.values())


def rounding_of_product(values: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> float:
    """Estimate by how much ⟨values, noise⟩ varies from one draw of the noise to another.

    One draw of the product may happen to be small; the root of the sum of squares over parameters, or over
    their rows, is not, and would be the deviation if rounding were independent from one to the next.
    """
    rows = [
        (local_part(values[name]).double() * local_part(part).double())
        .reshape(len(local_part(part)) if part.ndim > 1 else 1, -1)
        .sum(dim=1)
        for name, part in noise.items()
    ]
    parts, everything = torch.stack([each.sum() for each in rows]), noise.values()
    whole = sum_over_shards(parts.sum(), everything).abs()
    by_parameter = sum_over_shards(parts.square().sum(), everything).sqrt()
    by_row = sum_over_shards(torch.cat(rows).square().sum(), everything).sqrt()
    return float(torch.stack([whole, by_parameter, by_row]).max())


def length_of(parts: Mapping[str, Tensor]) -> Tensor:
    """Compute the length of a gradient in double precision, a scalar."""
    norms = [torch.linalg.vector_norm(local_part(part), dtype=torch.float64) for part in parts.values()]
    return sum_over_shards(torch.stack(norms).square().sum(), parts.values()).sqrt()
