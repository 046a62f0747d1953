"""Draw the train set from the rows the clean sets leave, with the class proportions of its bias.

The pool is put in one seeded order and the first examples of each class are taken, so that the train sets of
two levels share as many examples as possible.
"""

import math
from functools import partial

import torch
from torch import Tensor

from l2rw_ray.config.data.protocols import DominantClassBias, LongTailBias, NoBias, TwoClassBias
from l2rw_ray.config.data.sources import Data
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.source import Source
from l2rw_ray.data.splits.proportions import (
    Counts,
    class_counts,
    counts_of,
    dominance,
    largest_fitting,
    published_tail,
    scarcest,
    strength,
    tail_order,
)
from l2rw_ray.errors import DataError

_Changing = DominantClassBias | LongTailBias | TwoClassBias
_SMALLER_SETS = "lower meta_per_class, validation_size or test_size"


def draw_train(source: Source, pool: Tensor, config: Data, seed: int) -> Tensor:
    """Draw the rows of the train set.

    Args:
        source: The source of the rows.
        pool: Rows that may be drawn, ascending, int64.
        config: Size and bias of the train set.
        seed: The trial's seed.

    Returns:
        int64 [N], in a seeded order.

    Raises:
        DataError: The pool, or a class in it, has too few examples.
    """
    order = torch.randperm(len(source.labels), generator=rng_for(seed, "train"))
    shuffled = order[torch.isin(order, pool)]
    if not isinstance(config.bias, NoBias):
        return _draw_biased(source, shuffled, config, config.bias, seed)
    size = len(shuffled) if config.train_size is None else config.train_size
    if size > len(shuffled) or not size:
        problem = f"{len(shuffled)} examples are left after the other sets"
        remedy = f"lower it, or {_SMALLER_SETS}" if config.train_size else _SMALLER_SETS
        raise DataError("trial.data.train_size", config.train_size, problem, remedy)
    return shuffled[:size]


def _draw_biased(source: Source, pool: Tensor, config: Data, bias: _Changing, seed: int) -> Tensor:
    """Draw the first examples of each class, as many as the bias asks for.

    With a `train_size`, that many in total; without, as many as the classes allow.
    """
    labels = source.labels[pool] if source.verified is None else source.given_labels[pool]
    available = labels.bincount(minlength=len(source.class_names)).tolist()
    if config.train_size is not None:
        wanted = counts_of(bias, source, seed, "bias")(config.train_size)
        _check_train_size(source, config.train_size, bias, seed, available)
    elif isinstance(bias, DominantClassBias):
        wanted = _all_dominant(source, bias, seed, available)
    else:
        wanted = _as_many_as_fit(source, bias, seed, available)
    if not isinstance(bias, DominantClassBias):
        _check_classes_filled(source, config.train_size, bias, wanted)
    taken = torch.zeros(len(pool), dtype=torch.bool)
    for label, count in enumerate(wanted):
        taken[(labels == label).nonzero().squeeze(1)[:count]] = True
    return pool[taken]


def _all_dominant(source: Source, bias: DominantClassBias, seed: int, available: list[int]) -> list[int]:
    """Return counts: all n examples of the dominant class, round(n / level) in total (arXiv:2405.06859)."""
    dominant, others = dominance(bias, source, seed, "bias")
    kept = available[dominant]
    wanted = class_counts(dominant, kept, others, round(kept / bias.level) - kept)
    _check_level(source, bias.level, dominant, wanted, available)
    return wanted


def _as_many_as_fit(
    source: Source, bias: LongTailBias | TwoClassBias, seed: int, available: list[int]
) -> list[int]:
    """Return the largest profile for which every class has enough examples (Cui et al. 2019)."""
    counts: Counts
    if isinstance(bias, TwoClassBias):
        counts = counts_of(bias, source, seed, "bias")
    else:
        order = tail_order(bias, source, seed)
        counts = partial(published_tail, factor=bias.imbalance_factor, order=order)
    return counts(largest_fitting(counts, available, sum(available) + 1))


def _check_train_size(source: Source, size: int, bias: _Changing, seed: int, available: list[int]) -> None:
    counts = counts_of(bias, source, seed, "bias")
    scarce = scarcest(wanted := counts(size), available)
    if scarce is None:
        return
    fitting = largest_fitting(counts, available, size)
    field, value = strength(bias)
    problem = (
        f"at {field} {value:g} class {source.class_names[scarce]} needs {wanted[scarce]} examples, "
        f"{available[scarce]} are left after the other sets"
    )
    less = f"use at most {fitting}"
    if min(counts(fitting)) == 0 and not isinstance(bias, DominantClassBias):
        less = f"lower it and bias.{field}"
    remedy = f"{less}, or {_SMALLER_SETS}" if fitting > 1 else _SMALLER_SETS
    raise DataError("trial.data.train_size", size, problem, remedy)


def _check_classes_filled(
    source: Source, size: int | None, bias: LongTailBias | TwoClassBias, wanted: list[int]
) -> None:
    """Check that no class is empty: that would be another task, with an undefined ratio of sizes."""
    if min(wanted) > 0:
        return
    field, value = strength(bias)
    problem = f"class {source.class_names[wanted.index(0)]} gets none of {sum(wanted)} examples"
    remedy = "lower it, or raise train_size" if size else f"lower it, or {_SMALLER_SETS}"
    raise DataError(f"trial.data.bias.{field}", value, problem, remedy)


def _check_level(
    source: Source, level: float, dominant: int, wanted: list[int], available: list[int]
) -> None:
    scarce = scarcest(wanted, available)
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
