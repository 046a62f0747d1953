"""Seeded orders of rows, and examples per class of a part that is as balanced as the whole.

Shape suffixes: N examples, C classes.
"""

import torch
from torch import Tensor

from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.source import Source


def seeded_order(source: Source, may_N: Tensor, seed: int, *, by_group: bool = True) -> Tensor:
    """Return some rows in the order of a seed, int64.

    Args:
        source: The source of the rows.
        may_N: Which rows, bool [N].
        seed: The seed.
        by_group: Whether only one row of each group is in the order.
    """
    order = torch.randperm(len(source.labels), generator=rng_for(seed, "split"))
    order = order[may_N[order]]
    if source.groups is None or not by_group:
        return order
    return order[rank_in_class(source.groups[order]) == 0]


def stratified_rows(labels_N: Tensor, order: Tensor, size: int, classes: int, rng: torch.Generator) -> Tensor:
    """Return the first rows of an order that make a part of a given size, as balanced as the order is.

    Args:
        labels_N: Class of each row of the source, int64.
        order: Rows, int64.
        size: Rows of the part, at most as many as the order has.
        classes: Number of classes.
        rng: Breaks ties between classes with equal remainders.
    """
    labels = labels_N[order]
    taken_C = stratified_counts(labels.bincount(minlength=classes), size, rng)
    return order[rank_in_class(labels) < taken_C[labels]]


def stratified_counts(counts_C: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return the examples per class of a subset of a given size, each less than one from its exact share.

    Args:
        counts_C: Examples per class of the whole, int64 [C].
        size: Examples of the subset.
        generator: Breaks ties between classes with equal remainders.

    Returns:
        int64 [C] that sums to `size`.

    Source:
        Largest remainders (Hamilton's method).
    """
    if not size:
        return torch.zeros_like(counts_C)
    share_C, whole = counts_C * size, int(counts_C.sum())
    subset_C, remainder_C = share_C // whole, share_C % whole
    shuffled = torch.randperm(len(counts_C), generator=generator)
    claims = shuffled[remainder_C[shuffled].argsort(descending=True, stable=True)]
    subset_C[claims[: size - int(subset_C.sum())]] += 1
    return subset_C


def rank_in_class(labels_N: Tensor) -> Tensor:
    """Return the number of earlier examples of the same class for each example, int64 [N]."""
    by_class = labels_N.argsort(stable=True)
    starts_C = labels_N.bincount().cumsum(0) - labels_N.bincount()
    rank_N = torch.empty_like(labels_N)
    rank_N[by_class] = torch.arange(len(labels_N)) - starts_C[labels_N[by_class]]
    return rank_N
