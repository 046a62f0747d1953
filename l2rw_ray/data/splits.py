"""The four disjoint sets of a trial, and the protocols on the train set.

The meta, validation and test sets depend on the source, the seed and their own sizes alone, so that
arms and levels are compared on the same ones.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from l2rw_ray.config.data import Data, DominantClassBias, UniformNoise
from l2rw_ray.data.corruption import uniform_noise
from l2rw_ray.data.examples import ExampleSet
from l2rw_ray.data.source import Source
from l2rw_ray.data.streams import stream
from l2rw_ray.errors import DataError

_TEST_FRACTION = 0.2


@dataclass(frozen=True)
class Splits:
    """What a trial learns from and is judged by.

    Attributes:
        train: Possibly biased and mislabelled.
        meta: Clean and balanced; drives the weights.
        validation: Clean; selects. May be empty.
        test: Clean; only reported.
        class_names: Name of each class.
        hashes: SHA-256 over the source rows of each set, by the set's name.
    """

    train: ExampleSet
    meta: ExampleSet
    validation: ExampleSet
    test: ExampleSet
    class_names: tuple[str, ...]
    hashes: dict[str, str]

    def to(self, device: torch.device) -> Self:
        """The same sets on a device."""
        sets = {name: getattr(self, name).to(device) for name in ("train", "meta", "validation", "test")}
        return replace(self, **sets)


def make_splits(source: Source, config: Data, seed: int) -> Splits:
    """Split a source and apply the protocols.

    Args:
        source: What `load_source` returned.
        config: Sizes and protocols.
        seed: The trial's seed.

    Raises:
        DataError: A class has too few examples for what is asked.
    """
    pool, rows = _draw_clean_sets(source, config, seed)
    rows["train"] = _draw_train(source, pool, config, seed)
    _refuse_overlap(rows, own_test=source.test_labels is not None)
    sets = {name: _examples(source, name, which) for name, which in rows.items()}
    if isinstance(config.noise, UniformNoise):
        labels, corrupted = uniform_noise(
            sets["train"].labels, config.noise.rate, len(source.class_names), stream(seed, "noise")
        )
        sets["train"] = replace(sets["train"], labels=labels, corrupted=corrupted)
    if source.inputs.dtype != torch.uint8:
        sets = {name: examples.standardised_by(sets["train"]) for name, examples in sets.items()}
    hashes = {name: _hash(which, source, name) for name, which in rows.items()}
    return Splits(**sets, class_names=source.class_names, hashes=hashes)


def _draw_clean_sets(source: Source, config: Data, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Rows left for the train set, and rows of the test, meta and validation sets."""
    pool = torch.randperm(len(source.labels), generator=stream(seed, "split"))
    rows = {}
    if source.test_labels is None:
        wanted = config.test_size or round(_TEST_FRACTION * len(pool))
        pool, rows["test"] = _take_stratified(source, pool, wanted, "test_size")
    else:
        rows["test"] = _draw_own_test(source.test_labels, config.test_size, seed)
    pool, rows["validation"] = _take_stratified(source, pool, config.validation_size, "validation_size")
    counts = [config.meta_per_class] * len(source.class_names)
    pool, rows["meta"] = _take_counts(source, pool, counts, "meta_per_class", config.meta_per_class)
    return pool, rows


def _draw_own_test(labels: Tensor, size: int | None, seed: int) -> Tensor:
    if size is not None and size > len(labels):
        raise DataError(
            "trial.data.test_size", size, f"the test file has {len(labels)} examples", "use null for all"
        )
    order = torch.randperm(len(labels), generator=stream(seed, "test"))
    return order if size is None else _stratified(labels, order, size)


def _draw_train(source: Source, pool: Tensor, config: Data, seed: int) -> Tensor:
    """Rows of the train set; the pool's order decides who is in, so that levels overlap."""
    bias = config.bias
    if isinstance(bias, DominantClassBias):
        dominant = source.class_index(bias.dominant_class)
        available = int((source.labels[pool] == dominant).sum())
        size = config.train_size or round(available / bias.level)
        counts = _dominant_counts(size, bias.level, dominant, len(source.class_names), seed)
        if config.train_size is None:
            counts[dominant] = available
        return _take_counts(source, pool, counts, "train_size", config.train_size)[1]
    size = len(pool) if config.train_size is None else config.train_size
    if size > len(pool) or not len(pool):
        raise DataError(
            "trial.data.train_size",
            config.train_size,
            f"only {len(pool)} examples are left after the other sets",
            "lower it, or the sizes of the other sets",
        )
    return pool[:size]


def _dominant_counts(size: int, level: float, dominant: int, classes: int, seed: int) -> list[int]:
    """Examples per class: the dominant one has its fraction, the others differ by at most one."""
    rest = size - round(level * size)
    each, left = divmod(rest, classes - 1)
    others = [index for index in range(classes) if index != dominant]
    favoured = torch.randperm(classes - 1, generator=stream(seed, "bias"))[:left].tolist()
    counts = [each] * classes
    counts[dominant] = size - rest
    for position in favoured:
        counts[others[position]] += 1
    return counts


def _take_counts(
    source: Source, pool: Tensor, counts: list[int], field: str, value: object
) -> tuple[Tensor, Tensor]:
    """Split the pool into what is left and the first `counts[c]` rows of each class."""
    labels = source.labels[pool]
    taken = torch.zeros(len(pool), dtype=torch.bool)
    for label, count in enumerate(counts):
        places = (labels == label).nonzero().squeeze(1)
        if len(places) < count:
            raise DataError(
                f"trial.data.{field}",
                value,
                f"class {source.class_names[label]} has {len(places)} examples left, {count} are wanted",
                f"lower {field}, or the sizes of the other sets",
            )
        taken[places[:count]] = True
    return pool[~taken], pool[taken]


def _take_stratified(source: Source, pool: Tensor, size: int, field: str) -> tuple[Tensor, Tensor]:
    """Split the pool into what is left and `size` rows with the pool's class proportions."""
    if size >= len(pool) and size > 0:
        raise DataError(
            f"trial.data.{field}", size, f"only {len(pool)} examples are left", f"use fewer than {len(pool)}"
        )
    chosen = _stratified(source.labels, pool, size)
    return pool[~torch.isin(pool, chosen)], chosen


def _stratified(labels: Tensor, pool: Tensor, size: int) -> Tensor:
    """The first `size` rows of the pool, in an order that keeps every prefix close to its proportions."""
    of_pool = labels[pool]
    quantile = torch.empty(len(pool), dtype=torch.float64)
    for label in of_pool.unique():
        places = (of_pool == label).nonzero().squeeze(1)
        quantile[places] = (torch.arange(len(places), dtype=torch.float64) + 0.5) / len(places)
    return pool[quantile.argsort(stable=True)[:size]]


def _examples(source: Source, name: str, rows: Tensor) -> ExampleSet:
    own_test = name == "test" and source.test_inputs is not None and source.test_labels is not None
    inputs = source.test_inputs if own_test else source.inputs
    labels = source.test_labels if own_test else source.labels
    assert inputs is not None
    assert labels is not None
    return ExampleSet(inputs[rows], labels[rows], torch.zeros(len(rows), dtype=torch.bool), rows)


def _refuse_overlap(rows: dict[str, Tensor], *, own_test: bool) -> None:
    together = torch.cat([which for name, which in rows.items() if not (own_test and name == "test")])
    assert len(together.unique()) == len(together), "train, meta, validation and test overlap"


def _hash(rows: Tensor, source: Source, name: str) -> str:
    file = "test file:" if name == "test" and source.test_labels is not None else ""
    text = file + ",".join(map(str, sorted(rows.tolist())))
    return hashlib.sha256(text.encode()).hexdigest()
