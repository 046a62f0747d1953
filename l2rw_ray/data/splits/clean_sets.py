"""Draw the clean sets: meta, validation and test.

Rows of a class are put in one seeded order. Test rows come from its front, validation rows after them, meta
rows from its end, and the rows between are left to train. So the meta set depends only on its own size and
proportions, and no clean set depends on the train set. Of examples in groups, one of each group is in the
order; the others follow it into the train set or are left out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from l2rw_ray.config.data.protocols import NoBias
from l2rw_ray.config.data.sources import Data
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.source import NO_CLASS, Source
from l2rw_ray.data.splits.proportions import counts_of, strength
from l2rw_ray.errors import DataError

_TEST_FRACTION = 0.2


@dataclass(frozen=True)
class CleanSets:
    """Rows of the source, int64, in a seeded order.

    Attributes:
        meta: The same number of each class, or as its bias asks for.
        validation: As balanced as the source.
        test: As balanced as the source; rows of its test file where it has one.
        left: Rows of none of them, ascending: the train pool.
    """

    meta: Tensor
    validation: Tensor
    test: Tensor
    left: Tensor


def draw_clean_sets(source: Source, config: Data, seed: int) -> CleanSets:
    """Draw the three sets for a seed.

    Args:
        source: What `load_source` returned.
        config: The sets' sizes and the meta set's proportions; nothing else is looked at.
        seed: The trial's seed.

    Raises:
        DataError: A class has too few examples.
    """
    classes, test_seed = len(source.class_names), seed if config.test_seed is None else config.test_seed
    order, test_C = _order(source, seed), torch.zeros(classes, dtype=torch.int64)
    if source.test_labels is None:
        tested = _order(source, test_seed)
        size = round(_TEST_FRACTION * len(tested)) if config.test_size is None else config.test_size
        tested_C = source.labels[tested].bincount(minlength=classes)
        test_C = stratified_counts(tested_C, size, rng_for(test_seed, "test"))
        order = order if test_seed == seed else _led_by_the_test_set(source, order, tested, test_C)
    label, rank = source.labels[order], _rank_in_class(source.labels[order])
    counts_C = label.bincount(minlength=classes)
    validation_C = test_C + stratified_counts(counts_C, config.validation_size, rng_for(seed, "validation"))
    meta_C = _meta_counts(source, config, seed)
    _check_enough_examples(source, config, test_C, validation_C - test_C, meta_C, counts_C)
    in_test, before_meta = rank < test_C[label], rank < (counts_C - meta_C)[label]
    in_validation = (rank < validation_C[label]) & ~in_test
    return CleanSets(
        meta=order[~before_meta],
        validation=order[in_validation],
        test=order[in_test] if source.test_labels is None else _draw_own_test(source, config, test_seed),
        left=_with_their_groups(source, order[before_meta & ~in_test & ~in_validation]),
    )


def _order(source: Source, seed: int) -> Tensor:
    """Return rows that may be in a clean set, one of each group, in the order of a seed."""
    order = torch.randperm(len(source.labels), generator=rng_for(seed, "split"))
    order = order[source.labels[order] != NO_CLASS]
    return order if source.groups is None else order[_rank_in_class(source.groups[order]) == 0]


def _led_by_the_test_set(source: Source, order: Tensor, tested: Tensor, test_C: Tensor) -> Tensor:
    """Return the order with the test rows of another seed's order moved to its front, their groups left out.

    Args:
        source: The source of the rows.
        order: The order of the trial's seed.
        tested: Order of the seed that draws the test set.
        test_C: Examples per class of the test set.
    """
    test = tested[_rank_in_class(source.labels[tested]) < test_C[source.labels[tested]]]
    belongs = torch.arange(len(source.labels)) if source.groups is None else source.groups
    return torch.cat([test, order[~torch.isin(belongs[order], belongs[test])]])


def _meta_counts(source: Source, config: Data, seed: int) -> Tensor:
    """Return the examples per class of the meta set, int64 [C]: `meta_per_class` on average."""
    bias, classes = config.meta_bias, len(source.class_names)
    if isinstance(bias, NoBias):
        return torch.full((classes,), config.meta_per_class)
    counts = counts_of(bias, source, seed, "meta_bias")(config.meta_per_class * classes)
    if min(counts) == 0:
        problem = f"class {source.class_names[counts.index(0)]} gets none of {sum(counts)} meta examples"
        field, value = strength(bias)
        raise DataError(f"trial.data.meta_bias.{field}", value, problem, "lower it, or raise meta_per_class")
    return torch.tensor(counts)


def _with_their_groups(source: Source, rows: Tensor) -> Tensor:
    """Return rows with all others of their groups, ascending."""
    if source.groups is not None:
        theirs = torch.isin(source.groups, source.groups[rows])
        rows = (theirs & (source.labels != NO_CLASS)).nonzero().flatten()
    return rows.sort().values


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
    share_C, whole = counts_C * size, int(counts_C.sum())
    subset_C, remainder_C = share_C // whole, share_C % whole
    shuffled = torch.randperm(len(counts_C), generator=generator)
    claims = shuffled[remainder_C[shuffled].argsort(descending=True, stable=True)]
    subset_C[claims[: size - int(subset_C.sum())]] += 1
    return subset_C


def _draw_own_test(source: Source, config: Data, seed: int) -> Tensor:
    """Draw all rows of the source's test file, or a stratified part of them."""
    labels, size = source.test_labels, config.test_size
    assert labels is not None
    rows = (labels != NO_CLASS).nonzero().flatten()
    if size is None:
        return rows
    if size > len(rows):
        problem = f"the test file has {len(rows)} examples"
        raise DataError("trial.data.test_size", size, problem, "lower it, or use null for all")
    generator = rng_for(seed, "test")
    order = torch.randperm(len(labels), generator=generator)
    order = order[labels[order] != NO_CLASS]
    counts_C = labels[rows].bincount(minlength=len(source.class_names))
    taken_C = stratified_counts(counts_C, size, generator)
    return order[_rank_in_class(labels[order]) < taken_C[labels[order]]]


def _rank_in_class(labels_N: Tensor) -> Tensor:
    """Return the number of earlier examples of the same class for each example, int64 [N]."""
    by_class = labels_N.argsort(stable=True)
    starts_C = labels_N.bincount().cumsum(0) - labels_N.bincount()
    rank_N = torch.empty_like(labels_N)
    rank_N[by_class] = torch.arange(len(labels_N)) - starts_C[labels_N[by_class]]
    return rank_N


def _check_enough_examples(
    source: Source, config: Data, test_C: Tensor, validation_C: Tensor, meta_C: Tensor, counts_C: Tensor
) -> None:
    """Check that every class has enough examples for the sizes; the error names the scarcest."""
    spare_C = counts_C - test_C - validation_C
    scarcest = int((spare_C - meta_C).argmin())
    spare, meta, found = int(spare_C[scarcest]), int(meta_C[scarcest]), int(counts_C[scarcest])
    if spare > meta:
        return
    noun = "examples" if source.groups is None else "groups"
    test, validation = int(test_C[scarcest]), int(validation_C[scarcest])
    problem = (
        f"class {source.class_names[scarcest]} has {found} {noun}, "
        f"{test + validation + meta + 1} are wanted "
        f"({meta} meta, {validation} validation, {test} test, 1 train)"
    )
    others = [name for name, count in (("validation_size", validation), ("test_size", test)) if count]
    if spare > 1:
        lower = f"use at most {spare - 1}"
        if not isinstance(config.meta_bias, NoBias):
            lower = f"lower it or change meta_bias.{strength(config.meta_bias)[0]}"
        remedy = " or ".join([lower, *(f"lower {name}" for name in others)])
        raise DataError("trial.data.meta_per_class", config.meta_per_class, problem, remedy)
    if others:
        value = getattr(config, others[0])
        raise DataError(f"trial.data.{others[0]}", value, problem, f"lower {' or '.join(others)}")
    if source.targets is not None:
        raise DataError("trial.data.source", config.source, problem, "give more examples")
    label = getattr(config, "label", None)
    if label is None:
        raise DataError("trial.data.source", config.source, problem, "add examples, or leave the class out")
    raise DataError("trial.data.label", label, problem, "number only classes that occur")
