"""Draw the clean sets: meta, validation and test.

Rows of a class whose label is verified are put in one seeded order. Test rows come from its front, validation
rows after them, meta rows from its end, and the rows between are left to train. So the meta set depends only
on its own size and proportions, and no clean set depends on the train set. Of examples in groups, one of each
group is in the order; the others follow it into the train set or are left out. A set that has rows of its own
is drawn from them instead.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from l2rw_ray.config.data.protocols import NoBias
from l2rw_ray.config.data.sources import Data
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.source import NO_CLASS, Source
from l2rw_ray.data.splits.own_rows import (
    draw_given_validation,
    draw_meta_pool,
    draw_own_test,
    draw_validation_pool,
)
from l2rw_ray.data.splits.proportions import counts_of, strength
from l2rw_ray.data.splits.stratified import rank_in_class, seeded_order, stratified_counts
from l2rw_ray.errors import DataError

_TEST_FRACTION = 0.2


@dataclass(frozen=True)
class CleanSets:
    """Rows of the source, int64, in a seeded order.

    Attributes:
        meta: The same number of each class, or as its bias asks for.
        validation: As balanced as the rows it is drawn from.
        test: As balanced as the rows it is drawn from; rows of its test file where it has one.
        left: Rows of none of them that may train, ascending: the train pool.
    """

    meta: Tensor
    validation: Tensor
    test: Tensor
    left: Tensor


def draw_clean_sets(source: Source, config: Data, seed: int) -> CleanSets:
    """Draw the three sets for a seed.

    Args:
        source: What `load_source` returned.
        config: The sets' sizes, the meta set's proportions and which labels the validation set has; nothing
            else is looked at.
        seed: The trial's seed.

    Raises:
        DataError: A class has too few examples.
    """
    drawn = _draw_shared(source, config, seed)
    meta, validation, test = drawn.meta, drawn.validation, drawn.test
    if "meta" in source.pools:
        meta = draw_meta_pool(source, config, _meta_counts(source, config, seed), seed)
    if source.test_labels is not None:
        test = draw_own_test(source, config, _test_seed(config, seed))
    if "validation" in source.pools:
        validation = draw_validation_pool(source, config, seed)
    elif config.selects_by_given:
        # rows of a set's own file have no fellows elsewhere, and those of a test file other numbers
        validation = draw_given_validation(source, config, torch.cat([drawn.meta, drawn.test]), seed)
    own_test = source.test_labels is not None
    taken = torch.cat([meta, validation] if own_test else [meta, validation, test])
    return CleanSets(meta, validation, test, left=_left_to_train(source, taken))


@dataclass(frozen=True)
class _Shared:
    """Rows of the sets that are drawn from one seeded order; none for a set with rows of its own."""

    meta: Tensor
    validation: Tensor
    test: Tensor


def _draw_shared(source: Source, config: Data, seed: int) -> _Shared:
    """Draw the sets that have no rows of their own from those with a verified label."""
    classes, test_seed = len(source.class_names), _test_seed(config, seed)
    order, test_C = _order(source, seed), torch.zeros(classes, dtype=torch.int64)
    _check_any_verified(source, config, order)
    if source.test_labels is None:
        tested = _order(source, test_seed)
        size = round(_TEST_FRACTION * len(tested)) if config.test_size is None else config.test_size
        tested_C = source.labels[tested].bincount(minlength=classes)
        test_C = stratified_counts(tested_C, size, rng_for(test_seed, "test"))
        order = order if test_seed == seed else _led_by_the_test_set(source, order, tested, test_C)
    label, rank = source.labels[order], rank_in_class(source.labels[order])
    counts_C = label.bincount(minlength=classes)
    validation_C, meta_C = torch.zeros_like(test_C), torch.zeros_like(test_C)
    if "validation" not in source.pools and not config.selects_by_given:
        assert config.validation_size is not None
        validation_C = stratified_counts(counts_C, config.validation_size, rng_for(seed, "validation"))
    if "meta" not in source.pools:
        meta_C = _meta_counts(source, config, seed)
    _check_enough_examples(source, config, test_C, validation_C, meta_C, counts_C)
    in_test, before_meta = rank < test_C[label], rank < (counts_C - meta_C)[label]
    in_validation = (rank < (test_C + validation_C)[label]) & ~in_test
    return _Shared(meta=order[~before_meta], validation=order[in_validation], test=order[in_test])


def _test_seed(config: Data, seed: int) -> int:
    return seed if config.test_seed is None else config.test_seed


def _order(source: Source, seed: int) -> Tensor:
    """Return rows that may be in a clean set, one of each group, in the order of a seed."""
    may = (
        source.labels != NO_CLASS
        if source.verified is None
        else source.verified & (source.labels != NO_CLASS)
    )
    for rows in source.pools.values():
        may = may.index_fill(0, torch.arange(rows.start, rows.stop), False)
    return seeded_order(source, may, seed)


def _led_by_the_test_set(source: Source, order: Tensor, tested: Tensor, test_C: Tensor) -> Tensor:
    """Return the order with the test rows of another seed's order moved to its front, their groups left out.

    Args:
        source: The source of the rows.
        order: The order of the trial's seed.
        tested: Order of the seed that draws the test set.
        test_C: Examples per class of the test set.
    """
    test = tested[rank_in_class(source.labels[tested]) < test_C[source.labels[tested]]]
    belongs = torch.arange(len(source.labels)) if source.groups is None else source.groups
    return torch.cat([test, order[~torch.isin(belongs[order], belongs[test])]])


def _meta_counts(source: Source, config: Data, seed: int) -> Tensor:
    """Return the examples per class of the meta set, int64 [C]: `meta_per_class` on average."""
    bias, classes = config.meta_bias, len(source.class_names)
    if config.meta_per_class is None:
        rows = source.pools["meta"]
        labels = source.labels[rows.start : rows.stop]
        return labels[labels != NO_CLASS].bincount(minlength=classes)
    if isinstance(bias, NoBias):
        return torch.full((classes,), config.meta_per_class)
    counts = counts_of(bias, source, seed, "meta_bias")(config.meta_per_class * classes)
    if min(counts) == 0:
        problem = f"class {source.class_names[counts.index(0)]} gets none of {sum(counts)} meta examples"
        field, value = strength(bias)
        raise DataError(f"trial.data.meta_bias.{field}", value, problem, "lower it, or raise meta_per_class")
    return torch.tensor(counts)


def _left_to_train(source: Source, taken: Tensor) -> Tensor:
    """Return the rows that may train and belong to no row that is taken, ascending."""
    left = source.may_train
    if source.groups is not None:
        left &= ~torch.isin(source.groups, source.groups[taken])
    left[taken] = False
    return left.nonzero().flatten()


def _check_any_verified(source: Source, config: Data, order: Tensor) -> None:
    """Check that a set has verified examples to be drawn from; the error names the set that has none."""
    if len(order):
        return
    problem, answer = f"no example has a verified {_answer(source)}", _answer(source)
    if source.test_labels is None:
        remedy = f"name test, trusted, or a column of verified {answer}s"
        raise DataError("trial.data.test", None, f"{problem} to test on", remedy)
    if config.validation_size and "validation" not in source.pools and not config.selects_by_given:
        remedy = "name validation or trusted, or ask for a noisy one by validation_labels: given"
        raise DataError(
            "trial.data.validation_size", config.validation_size, f"{problem} to select by", remedy
        )
    if "meta" not in source.pools:
        remedy = f"name meta, trusted, or a column of verified {answer}s"
        raise DataError("trial.data.meta", None, problem, remedy)


def _answer(source: Source) -> str:
    return "label" if source.targets is None else "target"


def _check_enough_examples(
    source: Source, config: Data, test_C: Tensor, validation_C: Tensor, meta_C: Tensor, counts_C: Tensor
) -> None:
    """Check that every class has enough examples for the sizes; the error names the scarcest."""
    train = int(source.verified is None)  # else others train
    spare_C = counts_C - test_C - validation_C
    too_few_C = counts_C - train < meta_C  # whatever the other sizes are
    lacking_C = spare_C - meta_C
    scarcest = int((lacking_C.where(too_few_C, 0) if too_few_C.any() else lacking_C).argmin())
    spare, meta, found = int(spare_C[scarcest]), int(meta_C[scarcest]), int(counts_C[scarcest])
    if spare - train >= meta:
        return
    noun = ("example" if source.groups is None else "group") + "s" * (found != 1)
    if source.verified is not None:
        noun = f"{noun} with a verified {_answer(source)}"
    test, validation = int(test_C[scarcest]), int(validation_C[scarcest])
    problem = (
        f"class {source.class_names[scarcest]} has {found} {noun}, "
        f"{test + validation + meta + train} are wanted "
        f"({meta} meta, {validation} validation, {test} test{', 1 train' if train else ''})"
    )
    others = [name for name, count in (("validation_size", validation), ("test_size", test)) if count]
    if meta and spare - train > 0:
        lower = f"use at most {spare - train}"
        if not isinstance(config.meta_bias, NoBias):
            lower = f"lower it or change meta_bias.{strength(config.meta_bias)[0]}"
        remedy = " or ".join([lower, *(f"lower {name}" for name in others)])
        raise DataError("trial.data.meta_per_class", config.meta_per_class, problem, remedy)
    if others and too_few_C[scarcest]:
        more = "add examples" if source.verified is None else "verify more of them"
        remedy = f"{more}, leave the class out, or lower this and {' and '.join(others)}"
        raise DataError("trial.data.meta_per_class", config.meta_per_class, problem, remedy)
    if others:
        value = getattr(config, others[0])
        raise DataError(f"trial.data.{others[0]}", value, problem, f"lower {' or '.join(others)}")
    if source.verified is not None:
        remedy = "verify more of them, or leave the class out"
        raise DataError("trial.data.meta_per_class", config.meta_per_class, problem, remedy)
    if source.targets is not None:
        raise DataError("trial.data.source", config.source, problem, "give more examples")
    label = getattr(config, "label", None)
    if label is None:
        raise DataError("trial.data.source", config.source, problem, "add examples, or leave the class out")
    raise DataError("trial.data.label", label, problem, "number only classes that occur")
