"""Examples per class under a bias, for a given size of the set."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence

import torch

from l2rw_ray.config.data.protocols import DominantClass, LongTail, TwoClassBias
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.source import Source

Counts = Callable[[int], list[int]]
"""Maps the size of a set to examples per class; no class has fewer in a larger set."""
_ROUNDING = 1e-9


def counts_of(bias: DominantClass | LongTail | TwoClassBias, source: Source, seed: int, name: str) -> Counts:
    """Return the function that gives the examples per class under a bias.

    Args:
        bias: One that changes proportions.
        source: The source of the classes.
        seed: The trial's seed.
        name: `bias` or `meta_bias`: the field, and the stream that decides about odd examples.

    Raises:
        DataError: The source lacks the class that the bias names.
    """
    if isinstance(bias, TwoClassBias):
        majority = source.class_index(bias.majority, f"trial.data.{name}.majority")
        return lambda size: two_class_counts(size, bias.ratio, majority)
    if isinstance(bias, LongTail):
        order = tail_order(bias, source, seed)
        return lambda size: long_tail_counts(size, bias.imbalance_factor, order)
    dominant, others = dominance(bias, source, seed, name)
    return lambda size: dominated_counts(size, bias.level, dominant, others)


def strength(bias: DominantClass | LongTail | TwoClassBias) -> tuple[str, float]:
    """Return the field that sets the strength of a bias, and its value."""
    if isinstance(bias, DominantClass):
        return "level", bias.level
    if isinstance(bias, LongTail):
        return "imbalance_factor", bias.imbalance_factor
    return "ratio", bias.ratio


def dominance(bias: DominantClass, source: Source, seed: int, name: str) -> tuple[int, list[int]]:
    """Return the dominant class, and the other classes in the order in which they get odd examples."""
    dominant = source.class_index(bias.dominant_class, f"trial.data.{name}.class")
    others = [index for index in range(len(source.class_names)) if index != dominant]
    return dominant, [others[i] for i in torch.randperm(len(others), generator=rng_for(seed, name)).tolist()]


def dominated_counts(size: int, level: float, dominant: int, others: list[int]) -> list[int]:
    """Return counts: round(level · size) of the dominant class, the others spread as by `class_counts`."""
    kept = round(level * size)
    return class_counts(dominant, kept, others, size - kept)


def class_counts(dominant: int, kept: int, others: list[int], rest: int) -> list[int]:
    """Return examples per class: `kept` of the dominant one, `rest` spread over the others.

    Args:
        dominant: Index of the dominant class.
        kept: Its examples.
        others: Indices of the other classes; the first ones get one more where `rest` does not divide.
        rest: Their examples together.
    """
    each, more = divmod(rest, len(others))
    counts = [each] * (len(others) + 1)
    counts[dominant] = kept
    for label in others[:more]:
        counts[label] += 1
    return counts


def two_class_counts(size: int, ratio: float, majority: int) -> list[int]:
    """Return counts: round(size / (ratio + 1)) of the minority, and the rest of the majority (0 or 1)."""
    rare = round(size / (ratio + 1))
    return [size - rare, rare] if majority == 0 else [rare, size - rare]


def tail_order(bias: LongTail, source: Source, seed: int) -> list[int]:
    """Return classes from the largest to the smallest, the same for the train and the meta set."""
    count = len(source.class_names)
    if bias.order == "index":
        return list(range(count))
    return torch.randperm(count, generator=rng_for(seed, "class_order")).tolist()


def published_tail(largest: float, factor: float, order: Sequence[int]) -> list[int]:
    """Return counts: floor(largest · factor^(−c/(C−1))) of the class at place c of the order.

    Source: Cui et al. 2019, section 5.1; rounded down as in the splits that are in use.
    """
    counts = [0] * len(order)
    for place, label in enumerate(order):
        counts[label] = math.floor(largest / _lag(place, factor, len(order)) + _ROUNDING)
    return counts


def long_tail_counts(size: int, factor: float, order: Sequence[int]) -> list[int]:
    """Return the published profile, scaled so that its counts sum to `size`.

    It is `published_tail` for a largest class that need not be an integer: that falls short by fewer than C
    examples, each of which goes to the class whose next example is due first as the largest class grows
    (Jefferson's method). A size that `published_tail` sums to has exactly its counts.

    Args:
        size: Examples in all.
        factor: Of the largest class per example of the smallest.
        order: Classes from the largest to the smallest.
    """
    lags = [0.0] * len(order)
    for place, label in enumerate(order):
        lags[label] = _lag(place, factor, len(order))
    counts = published_tail(size / sum(1 / lag for lag in lags), factor, order)
    while sum(counts) < size:
        due = min(order, key=lambda label: (counts[label] + 1) * lags[label])
        counts[due] += 1
    return counts


def _lag(place: int, factor: float, classes: int) -> float:
    """Return how many times smaller the class at this position is than the largest."""
    return float(factor ** (place / (classes - 1)))


def largest_fitting(counts: Counts, available: list[int], limit: int) -> int:
    """Return the largest argument below `limit` for which every class has enough examples."""
    return bisect_left(range(limit), True, key=lambda size: scarcest(counts(size), available) is not None) - 1


def scarcest(wanted: list[int], available: list[int]) -> int | None:
    """Return the class that lacks most examples; None where all have enough."""
    lacking = [need - found for need, found in zip(wanted, available, strict=True)]
    worst = max(range(len(lacking)), key=lacking.__getitem__)
    return worst if lacking[worst] > 0 else None
