"""Regression targets: strata to split by, standardising, and noise of known scale.

Shape suffixes: N examples, K bounds between strata.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.data.regression import GaussianNoise
from l2rw_ray.data.examples import ExampleSet
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.row_ids import kept_ids
from l2rw_ray.data.row_store import RowStore, select_rows
from l2rw_ray.data.source import Source, kept_pools
from l2rw_ray.errors import DataError
from l2rw_ray.trees import Tree

_TENTHS = np.arange(1, 10) / 10
CORRUPTED_FROM = 1.0
"""Noise beyond which a target counts as corrupted, in standard deviations of the target: such a target says
less than the mean does."""


def regression_source(
    inputs: Tree | RowStore,
    targets: Tensor,
    test_inputs: Tree | RowStore | None = None,
    test_targets: Tensor | None = None,
    groups: Tensor | None = None,
    *,
    feature_names: tuple[str, ...] | None = None,
    weight_features: Tensor | None = None,
    below: float | None = None,
    verified: Tensor | None = None,
    train_targets: Tensor | None = None,
) -> Source:
    """Make a source with targets; sets are stratified by deciles of the train targets.

    Args:
        inputs: As `Source.inputs`, [N, …].
        targets: What is predicted, floats [N].
        test_inputs: Inputs of a separate test set.
        test_targets: Their targets.
        groups: As `Source.groups`, [N].
        feature_names: Name of each feature.
        weight_features: As `Source.weight_features`, [N, F].
        below: Examples whose target reaches this are left out and counted; None keeps all.
        verified: As `Source.verified`, [N].
        train_targets: As `Source.train_targets`, [N].

    Raises:
        DataError: All examples are left out, or all targets are equal.
    """
    unstratified = torch.zeros_like(targets, dtype=torch.int64)
    source = Source(
        inputs,
        unstratified,
        (),
        test_inputs,
        None if test_targets is None else torch.zeros_like(test_targets, dtype=torch.int64),
        groups,
        weight_features=weight_features,
        targets=targets,
        test_targets=test_targets,
        feature_names=feature_names,
        verified=verified,
        train_targets=train_targets,
    )
    return stratified(source, below)


def stratified(source: Source, below: float | None = None) -> Source:
    """Return a source with targets, with their deciles as classes: those of the verified ones.

    Args:
        source: Its labels and class names are replaced.
        below: As for `regression_source`.

    Raises:
        DataError: All examples are left out.
    """
    if below is not None:
        source = _below(source, below)
    targets, test_targets = source.targets, source.test_targets
    assert targets is not None
    verified = source.verified
    some = verified is not None and bool(verified.any())  # drawing the sets says so where none is
    bounds_K, names = decile_bounds(targets[verified] if some else targets)
    return replace(
        source,
        labels=torch.bucketize(targets, bounds_K, right=True),
        class_names=names,
        test_labels=None if test_targets is None else torch.bucketize(test_targets, bounds_K, right=True),
    )


def _below(source: Source, below: float) -> Source:
    """Return a source without the examples whose target reaches a value."""
    targets, test_targets = source.targets, source.test_targets
    assert targets is not None
    kept_N = targets < below
    left_out = int((~kept_N).sum())
    if test_targets is not None:
        kept_T = test_targets < below
        left_out += int((~kept_T).sum())
        source = replace(
            source,
            test_inputs=select_rows(source.test_inputs, kept_T.nonzero().flatten()),
            test_targets=test_targets[kept_T],
            test_ids=None if source.test_ids is None else kept_ids(source.test_ids, kept_T.numpy()),
        )
        if not kept_T.any():
            kept_N = kept_T
    if not kept_N.any():
        raise DataError("trial.data.target_below", below, "no target is below it", "raise it")
    names = ("targets", "train_targets", "verified", "groups", "weight_features")
    given = {name: getattr(source, name) for name in names}
    kept: dict[str, Any] = {name: None if rows is None else rows[kept_N] for name, rows in given.items()}
    return replace(
        source,
        **kept,
        inputs=select_rows(source.inputs, kept_N.nonzero().flatten()),
        ids=None if source.ids is None else kept_ids(source.ids, kept_N.numpy()),
        pools=kept_pools(source.pools, kept_N),
        left_out=left_out,
    )


def decile_bounds(targets_N: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """Return the bounds between deciles of the targets; equal targets are in the same decile.

    Args:
        targets_N: At least one target, float32 [N].

    Returns:
        Lowest target of each but the first, [K] with K up to 9, ascending; and the names of all, by the
        number of their first tenth. None of them is empty.
    """
    quantiles = np.quantile(targets_N.numpy(), _TENTHS, method="higher")
    bounds_K, first_K = np.unique(quantiles, return_index=True)
    inner = bounds_K > targets_N.min().item()
    numbers = [1, *(first_K[inner] + 2).tolist()]
    return torch.from_numpy(bounds_K[inner]), tuple(f"decile {number}" for number in numbers)


def target_scale(targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and standard deviation of targets, [], in float64; 1 for equal targets.

    They have the targets' own type.
    """
    wide = targets_N.double()
    std = wide.std(correction=0)
    return wide.mean().to(targets_N), torch.where(std > 0, std, 1.0).to(targets_N)


def noisy(train: ExampleSet, noise: GaussianNoise, source: Source, pool: Tensor, seed: int) -> ExampleSet:
    """Add noise to the targets of the train set; its strata remain those of the clean targets.

    The noise of an example is ε · d · `scale`, in units of the target's deviation in the train pool, where ε
    is standard Gaussian and d twice the mid-rank, from 0 to 1, of its feature `by` among the train pool;
    1 without `by`, and where the feature is missing. For one seed noises of two scales are proportional.
    Examples whose noise exceeds one such deviation count as corrupted.

    Args:
        train: The train set, its targets with mean and deviation.
        noise: Scale, and the feature it follows.
        source: The source of the features.
        pool: Rows of the train pool, int64.
        seed: The trial's seed.

    Raises:
        DataError: There is no such feature.
    """
    assert train.targets is not None
    assert train.target_std is not None
    drawn_N = torch.randn(len(train), generator=rng_for(seed, "target_noise"))
    relative_N = noise.scale * drawn_N * _difficulty(train, noise, source, pool)
    return replace(
        train,
        targets=train.targets + relative_N * train.target_std,
        corrupted=relative_N.abs() > CORRUPTED_FROM,
    )


def _difficulty(train: ExampleSet, noise: GaussianNoise, source: Source, pool: Tensor) -> Tensor:
    """Return the noise scale of each train target relative to the mean: float32 [N], from 0 to 2."""
    if noise.by is None:
        return torch.ones(len(train))
    place = source.feature_index(noise.by)
    feature = source.feature(place)
    known, values_N = feature[pool], feature[train.rows]
    known = known[~known.isnan()].sort().values
    below_N, upto_N = (torch.searchsorted(known, values_N, right=right) for right in (False, True))
    return ((below_N + upto_N) / max(len(known), 1)).float().masked_fill(values_N.isnan(), 1.0)
