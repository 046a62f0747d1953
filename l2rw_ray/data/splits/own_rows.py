"""Draw a set from rows of its own: those of a file for it alone, or those without a verified label."""

import torch
from torch import Tensor

from l2rw_ray.config.data.sources import Data
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.source import NO_CLASS, Source
from l2rw_ray.data.splits.stratified import rank_in_class, seeded_order, stratified_rows
from l2rw_ray.errors import DataError


def draw_own_test(source: Source, config: Data, seed: int) -> Tensor:
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
    return stratified_rows(labels, order, size, len(source.class_names), generator)


def draw_meta_pool(source: Source, config: Data, meta_C: Tensor, seed: int) -> Tensor:
    """Draw the meta set from the rows that are for it alone.

    Args:
        source: A source with such rows.
        config: The section that names them.
        meta_C: Examples of each class, int64 [C].
        seed: The trial's seed.

    Raises:
        DataError: A class has too few.
    """
    order = _pool_order(source, "meta", seed)
    labels, classes = source.labels[order], len(source.class_names)
    found_C = labels.bincount(minlength=classes)
    scarcest = int((found_C - meta_C).argmin())
    found, wanted = int(found_C[scarcest]), int(meta_C[scarcest])
    if found < wanted or not found:
        problem = (
            f"it has {found} examples of class {source.class_names[scarcest]}, {max(wanted, 1)} are wanted"
        )
        remedy = "add some, or lower meta_per_class" if found else "add some"
        raise DataError("trial.data.meta", config.set_files.get("meta"), problem, remedy)
    return order[rank_in_class(labels) < meta_C[labels]]


def draw_validation_pool(source: Source, config: Data, seed: int) -> Tensor:
    """Draw the validation set from the rows that are for it alone: all of them, or a stratified part.

    Raises:
        DataError: There are too few.
    """
    order, size = _pool_order(source, "validation", seed), config.validation_size
    if size is None:
        return order
    if size > len(order):
        problem = f"{config.set_files.get('validation')} has {len(order)} examples for it"
        raise DataError("trial.data.validation_size", size, problem, "lower it, or use null for all")
    return stratified_rows(source.labels, order, size, len(source.class_names), rng_for(seed, "validation"))


def draw_given_validation(source: Source, config: Data, taken: Tensor, seed: int) -> Tensor:
    """Draw a validation set, as balanced as its rows, from those whose label nobody verified.

    Args:
        source: The source.
        config: The section that asks for it.
        taken: Rows of the other sets; what belongs to them is left out.
        seed: The trial's seed.

    Raises:
        DataError: There are too few.
    """
    assert config.validation_size is not None
    verified = torch.ones_like(source.may_train) if source.verified is None else source.verified
    may = source.may_train & ~verified
    if source.groups is not None:
        may &= ~torch.isin(source.groups, source.groups[taken])
    order, size = seeded_order(source, may, seed), config.validation_size
    if size >= len(order):
        problem = f"{len(order)} examples have no verified label, and one is wanted for train"
        raise DataError(
            "trial.data.validation_size", size, problem, "lower it, or set validation_labels: verified"
        )
    return stratified_rows(
        source.given_labels, order, size, len(source.class_names), rng_for(seed, "validation")
    )


def _pool_order(source: Source, name: str, seed: int) -> Tensor:
    """Return the rows that are for one set alone in the order of a seed."""
    rows, may = source.pools[name], torch.zeros(len(source.labels), dtype=torch.bool)
    may[rows.start : rows.stop] = True
    return seeded_order(source, may & (source.labels != NO_CLASS), seed, by_group=False)
