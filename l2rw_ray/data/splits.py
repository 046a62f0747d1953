"""The four disjoint sets of a trial, and the protocols on the train set.

The meta, validation and test sets depend on the source, the seed and their own sizes alone, so that
arms, bias levels and noise rates are compared on the same ones.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from l2rw_ray.config.data import Data, UniformNoise
from l2rw_ray.data.augmentation import refuse_vectors
from l2rw_ray.data.clean_sets import draw_clean_sets
from l2rw_ray.data.corruption import uniform_noise
from l2rw_ray.data.examples import ExampleSet, feature_scale
from l2rw_ray.data.source import Source
from l2rw_ray.data.streams import stream
from l2rw_ray.data.train_protocols import draw_train
from l2rw_ray.errors import DataError


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
        source: What `load_source` returned; its inputs are shared, not copied.
        config: Sizes and protocols.
        seed: The trial's seed.

    Raises:
        DataError: A class has too few examples for what is asked, or features are to be augmented.
    """
    if len(source.class_names) < 2:
        problem = f"the only class is {source.class_names[0]}"
        raise DataError("trial.data.source", config.source, problem, "give two classes or more")
    refuse_vectors(config.augment, source.inputs.dtype)
    clean = draw_clean_sets(source, config, seed)
    train = draw_train(source, clean.left, config, seed)
    rows = {"train": train, "meta": clean.meta, "validation": clean.validation, "test": clean.test}
    own_test = source.test_labels is not None
    refuse_overlap(rows, own_test=own_test)
    sets = {name: _examples(source, which, own_test and name == "test") for name, which in rows.items()}
    if isinstance(config.noise, UniformNoise):
        sets["train"] = _mislabelled(sets["train"], config.noise, len(source.class_names), seed)
    if source.inputs.dtype != torch.uint8:
        mean, std = feature_scale(source.inputs[clean.left])
        sets = {name: replace(examples, mean=mean, std=std) for name, examples in sets.items()}
    hashes = {name: hash_rows(which, own_test and name == "test") for name, which in rows.items()}
    return Splits(**sets, class_names=source.class_names, hashes=hashes)


def refuse_overlap(rows: dict[str, Tensor], *, own_test: bool) -> None:
    """Refuse sets that overlap: no row of the source may be in two of them, or twice in one.

    Args:
        rows: Rows of each set, by its name.
        own_test: The rows of `test` count in a file of its own.

    Raises:
        DataError: They do.
    """
    together = torch.cat([which for name, which in rows.items() if not (own_test and name == "test")])
    if len(together.unique()) < len(together):
        raise DataError(
            "trial.data", ", ".join(rows), "the four sets overlap", "report this: they are drawn disjoint"
        )


def hash_rows(rows: Tensor, own_test: bool = False) -> str:
    """SHA-256 over the sorted rows of a set; those of a test file of its own hash differently."""
    text = ("test file:" if own_test else "") + ",".join(map(str, sorted(rows.tolist())))
    return hashlib.sha256(text.encode()).hexdigest()


def _examples(source: Source, rows: Tensor, own_test: bool) -> ExampleSet:
    inputs = source.test_inputs if own_test else source.inputs
    labels = source.test_labels if own_test else source.labels
    assert inputs is not None
    assert labels is not None
    corrupted = torch.zeros(len(rows), dtype=torch.bool)
    return ExampleSet(inputs, labels[rows], corrupted, rows, places=rows)


def _mislabelled(train: ExampleSet, noise: UniformNoise, classes: int, seed: int) -> ExampleSet:
    labels, corrupted = uniform_noise(train.labels, noise.rate, classes, stream(seed, "noise"))
    return replace(train, labels=labels, corrupted=corrupted)
