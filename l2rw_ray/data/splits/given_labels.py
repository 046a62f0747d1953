"""Labels and targets as they were given: what train learns, and which of them are known to be wrong."""

from dataclasses import replace

import torch
from torch import Tensor

from l2rw_ray.config.data.sources import Data
from l2rw_ray.data.examples import ExampleSet
from l2rw_ray.data.source import Source
from l2rw_ray.data.splits.targets import CORRUPTED_FROM


def learning_from(source: Source, config: Data) -> Source:
    """Return the source with the labels or targets that train uses as the given ones.

    Args:
        source: What `load_source` returned.
        config: The section, which says whether verified examples train with their verified label.
    """
    verified_N = source.verified
    if verified_N is None or not config.trains_on_verified:
        return source
    labels_N, targets_N = source.train_labels, source.train_targets
    if labels_N is not None:
        labels_N = torch.where(verified_N, source.labels, labels_N)
    if targets_N is not None and source.targets is not None:
        targets_N = torch.where(verified_N, source.targets, targets_N)
    return replace(source, train_labels=labels_N, train_targets=targets_N)


def with_given(train: ExampleSet, source: Source) -> ExampleSet:
    """Return the train set with its labels or targets as they were given."""
    if source.train_labels is not None:
        train = replace(train, labels=source.train_labels[train.rows])
    if source.train_targets is not None:
        train = replace(train, targets=source.train_targets[train.rows])
    return train


def judged(train: ExampleSet, source: Source) -> ExampleSet:
    """Return the train set, after noise, with what is known of its labels or targets.

    A label is wrong if it is not the verified one, a target if it is more than one standard deviation of the
    targets away. Where none is verified, neither is known: noise on top may make a wrong label right.
    """
    unverified_N = unverified(train.rows, source)
    if source.train_labels is not None:
        corrupted_N = train.labels != source.labels[train.rows]
    elif source.train_targets is not None:
        assert source.targets is not None
        assert train.targets is not None
        assert train.target_std is not None
        away_N = (train.targets - source.targets[train.rows]).abs()
        corrupted_N = away_N > CORRUPTED_FROM * train.target_std
    else:
        corrupted_N = train.corrupted
    if unverified_N is not None:
        corrupted_N = corrupted_N & ~unverified_N
    return replace(train, corrupted=corrupted_N, unverified=unverified_N)


def unverified(rows_K: Tensor, source: Source) -> Tensor | None:
    """Return which rows have no verified label or target, bool [K]; None where all have one."""
    if source.verified is None:
        return None
    unverified_K = ~source.verified[rows_K]
    return unverified_K if unverified_K.any() else None
