"""Drawing the train set from what the clean sets left, with the class proportions asked for.

The pool stands in one seeded order and the first examples of each class are taken, so that the
train sets of two levels share as many as they can.
"""

import math
from bisect import bisect_left

import torch
from torch import Tensor

from l2rw_ray.config.data import Data, DominantClassBias
from l2rw_ray.data.source import Source
from l2rw_ray.data.streams import stream
from l2rw_ray.errors import DataError

_SMALLER_SETS = "lower meta_per_class, validation_size or test_size"


def draw_train(source: Source, pool: Tensor, config: Data, seed: int) -> Tensor:
    """Rows of the train set.

    Args:
        source: Where they are rows of.
        pool: Rows that may be drawn, ascending, int64.
        config: Size and bias of the train set.
        seed: The trial's seed.

    Returns:
        int64 [N], in a seeded order.

    Raises:
        DataError: The pool, or a class in it, has too few examples.
    """
    order = torch.randperm(len(source.labels), generator=stream(seed, "train"))
    shuffled = order[torch.isin(order, pool)]
    if isinstance(config.bias, DominantClassBias):
        return _draw_dominated(source, shuffled, config, config.bias, seed)
    size = len(shuffled) if config.train_size is None else config.train_size
    if size > len(shuffled) or not size:
        problem = f"{len(shuffled)} examples are left after the other sets"
        remedy = f"lower it, or {_SMALLER_SETS}" if config.train_size else _SMALLER_SETS
        raise DataError("trial.data.train_size", config.train_size, problem, remedy)
    return shuffled[:size]


def _draw_dominated(source: Source, pool: Tensor, config: Data, bias: DominantClassBias, seed: int) -> Tensor:
    """One class makes up the fraction `level`, the others share the rest (arXiv:2405.06859).

    `matched` has `train_size` examples at every level, round(level · train_size) of them dominant.
    `as_published` keeps all n dominant examples of the pool and has round(n / level) in total.
    """
    dominant = source.class_index(bias.dominant_class)
    labels = source.labels[pool]
    available = labels.bincount(minlength=len(source.class_names)).tolist()
    others = [index for index in range(len(available)) if index != dominant]
    favoured = [others[i] for i in torch.randperm(len(others), generator=stream(seed, "bias")).tolist()]
    if config.train_size is None:
        kept = available[dominant]
        wanted = class_counts(dominant, kept, favoured, round(kept / bias.level) - kept)
        _refuse_low_level(source, bias.level, dominant, wanted, available)
    else:
        wanted = _matched(config.train_size, bias.level, dominant, favoured)
        _refuse_large_train(source, config.train_size, bias.level, dominant, favoured, available)
    taken = torch.zeros(len(pool), dtype=torch.bool)
    for label, count in enumerate(wanted):
        taken[(labels == label).nonzero().squeeze(1)[:count]] = True
    return pool[taken]


def class_counts(dominant: int, kept: int, others: list[int], rest: int) -> list[int]:
    """Examples per class: `kept` of the dominant one, `rest` spread over the others.

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


def _matched(size: int, level: float, dominant: int, others: list[int]) -> list[int]:
    kept = round(level * size)
    return class_counts(dominant, kept, others, size - kept)


def _refuse_large_train(
    source: Source, size: int, level: float, dominant: int, others: list[int], available: list[int]
) -> None:
    def is_too_large(size: int) -> bool:
        return _short(_matched(size, level, dominant, others), available) is not None

    scarce = _short(wanted := _matched(size, level, dominant, others), available)
    if scarce is None:
        return
    fitting = bisect_left(range(size), True, key=is_too_large) - 1  # counts grow with the size
    problem = (
        f"at level {level} class {source.class_names[scarce]} needs {wanted[scarce]} examples, "
        f"{available[scarce]} are left after the other sets"
    )
    remedy = f"use at most {fitting}, or {_SMALLER_SETS}" if fitting > 1 else _SMALLER_SETS
    raise DataError("trial.data.train_size", size, problem, remedy)


def _refuse_low_level(
    source: Source, level: float, dominant: int, wanted: list[int], available: list[int]
) -> None:
    scarce = _short(wanted, available)
    if scarce is None and available[dominant]:
        return
    if scarce is None:
        problem, remedy = "no example of the dominant class is left after the other sets", _SMALLER_SETS
        raise DataError("trial.data.bias.class", source.class_names[dominant], problem, remedy)
    fewest = min(count for label, count in enumerate(available) if label != dominant)
    lowest = available[dominant] / (available[dominant] + fewest * (len(available) - 1))
    problem = (
        f"all {available[dominant]} examples of the dominant class are kept, so "
        f"class {source.class_names[scarce]} needs {wanted[scarce]} and has {available[scarce]}"
    )
    remedy = f"use at least {math.ceil(lowest * 1000) / 1000} or bias.size 'matched'"
    raise DataError("trial.data.bias.level", level, problem, remedy)


def _short(wanted: list[int], available: list[int]) -> int | None:
    """The class that lacks most examples; None where all have enough."""
    lacking = [need - found for need, found in zip(wanted, available, strict=True)]
    worst = max(range(len(lacking)), key=lacking.__getitem__)
    return worst if lacking[worst] > 0 else None
