"""The four disjoint sets of a trial, and the protocols on the train and the meta set.

The meta, validation and test sets depend on the source, the seed, their own sizes and, for the meta set,
its own protocols alone, so that methods, bias levels and noise rates are compared on the same ones. A
two-class bias leaves the other classes out of all four.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from l2rw_ray.config.data.protocols import LabelNoise, TwoClassBias
from l2rw_ray.config.data.regression import GaussianNoise
from l2rw_ray.config.data.sources import Data
from l2rw_ray.config.task import data_misfit
from l2rw_ray.data.augmentation import check_images
from l2rw_ray.data.examples import ExampleSet, column_scales, feature_scale
from l2rw_ray.data.known_noise import known_noise, within_train
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.source import NO_CLASS, Source
from l2rw_ray.data.splits.clean_sets import draw_clean_sets
from l2rw_ray.data.splits.encoded_inputs import encoded_source
from l2rw_ray.data.splits.given_labels import judged, learning_from, unverified, with_given
from l2rw_ray.data.splits.image_options import with_image_options
from l2rw_ray.data.splits.label_noise import corrupt
from l2rw_ray.data.splits.targets import noisy, target_scale
from l2rw_ray.data.splits.train_set import draw_train
from l2rw_ray.data.text.texts import Texts
from l2rw_ray.errors import DataError
from l2rw_ray.events import KnownNoise

_HASHED_AT_A_TIME = 2**16
ReadTexts = Callable[[Tensor], Iterable[str]]
"""Returns the texts of some rows of the train table, int64 [K], each once, from memory or from files."""


@dataclass(frozen=True)
class Splits:
    """The four sets of a trial.

    Attributes:
        train: Possibly biased and mislabelled.
        meta: Drives the weights; clean and balanced unless `meta_bias` or `meta_noise` change it.
        validation: Clean, unless it was asked for without verified labels; used for selection. May be empty.
        test: Clean; used for reporting only.
        class_names: Name of each class that the sets hold.
        hashes: SHA-256 over the source rows of each set, by the set's name.
        left_out: Examples of the source left out because of their targets.
        known_noise: How given labels of the source differ from verified ones; None where they do not.
        untrained: Examples of the train table that neither trained nor drove weights, with the labels given:
            the other rows of the train pool, but for those in groups that trained, and validation and test
            set where they are drawn from that table; None where it was not asked for.
        texts: Reads texts of the train table by row of the source; None where it has none.
    """

    train: ExampleSet
    meta: ExampleSet
    validation: ExampleSet
    test: ExampleSet
    class_names: tuple[str, ...]
    hashes: dict[str, str]
    left_out: int = 0
    known_noise: KnownNoise | None = None
    untrained: ExampleSet | None = None
    texts: ReadTexts | None = None

    @property
    def is_regression(self) -> bool:
        """Whether examples have targets; `class_names` then name strata of them."""
        return self.train.targets is not None

    def to(self, device: torch.device) -> Self:
        """Return the same sets on a device; `untrained`, which may be large, stays where it is."""
        sets = {name: getattr(self, name).to(device) for name in ("train", "meta", "validation", "test")}
        return replace(self, **sets)


def make_splits(source: Source, config: Data, seed: int, *, with_untrained: bool = False) -> Splits:
    """Split a source and apply the protocols.

    Args:
        source: What `load_source` returned; its inputs are shared, not copied.
        config: Sizes and protocols.
        seed: The trial's seed.
        with_untrained: Whether the result has `untrained` too, which takes some 25 bytes per row.

    Raises:
        DataError: A class has too few examples, what is no image is to be augmented, or a protocol does not
            fit the data.
    """
    _check_fit(source, config)
    _check_class_count(source, config)
    check_images(config.augment, source.inputs)
    if isinstance(config.bias, TwoClassBias):
        source = _two_classes(source, config.bias)
    noise, source = known_noise(source), learning_from(source, config)
    clean = draw_clean_sets(source, config, seed)
    train = draw_train(source, clean.left, config, seed)
    rows = {"train": train, "meta": clean.meta, "validation": clean.validation, "test": clean.test}
    own_test = source.test_labels is not None
    check_disjoint(rows, own_test=own_test)
    encoded, encoder = encoded_source(source, config, clean.left)
    sets = _examples_of(encoded, rows, own_test=own_test)
    sets |= _untrained(encoded, rows, clean.left, own_test=own_test) if with_untrained else {}
    sets = {name: replace(examples, encoder=encoder) for name, examples in sets.items()}
    sets["train"] = with_given(sets["train"], source)
    sets["validation"] = replace(sets["validation"], unverified=unverified(clean.validation, source))
    if not isinstance(config.noise, GaussianNoise):
        sets["train"] = _mislabelled(sets["train"], config.noise, source, seed, "noise")
    sets["meta"] = _mislabelled(sets["meta"], config.meta_noise, source, seed, "meta_noise")
    if source.weight_features is not None:
        scaled = _scaled_weight_features(source.weight_features, train, clean.left)
        sets["train"] = replace(sets["train"], weight_features=scaled)
    if source.features is not None:
        places = range(source.features.shape[1])
        mean, std = column_scales(source.feature(place)[clean.left] for place in places)
        sets = {name: replace(examples, mean=mean, std=std) for name, examples in sets.items()}
    if source.targets is not None:
        given = source.targets if source.train_targets is None else source.train_targets
        mean, std = target_scale(given[clean.left])
        sets = {name: replace(examples, target_mean=mean, target_std=std) for name, examples in sets.items()}
    if isinstance(config.noise, GaussianNoise):
        sets["train"] = noisy(sets["train"], config.noise, source, clean.left, seed)
    sets["train"] = judged(sets["train"], source)
    sets = with_image_options(sets, config)
    hashes = {name: hash_rows(which, own_test and name == "test") for name, which in rows.items()}
    return Splits(
        **sets,
        class_names=source.class_names,
        hashes=hashes,
        left_out=source.left_out,
        known_noise=within_train(noise, sets["train"]),
        texts=source.take if isinstance(source.inputs, Texts) else None,
    )


def check_disjoint(rows: dict[str, Tensor], *, own_test: bool) -> None:
    """Check that no row of the source is in two sets, or twice in one.

    Args:
        rows: Rows of each set, by its name.
        own_test: Whether the rows of `test` are numbered in a file of their own.

    Raises:
        DataError: A row is in two sets, or twice in one.
    """
    together = torch.cat([which for name, which in rows.items() if not (own_test and name == "test")])
    if len(together.unique()) < len(together):
        raise DataError(
            "trial.data", ", ".join(rows), "the four sets overlap", "report this: they are drawn disjoint"
        )


def hash_rows(rows: Tensor, own_test: bool = False) -> str:
    """Return the SHA-256 of the sorted rows of a set; rows of a separate test file hash differently."""
    digest, comma = hashlib.sha256(b"test file:" if own_test else b""), ""
    for part in rows.sort().values.split(_HASHED_AT_A_TIME):  # the text of many rows is long
        digest.update((comma + ",".join(map(str, part.tolist()))).encode())
        comma = ","
    return digest.hexdigest()


def _examples_of(source: Source, rows: dict[str, Tensor], *, own_test: bool) -> dict[str, ExampleSet]:
    """Return the four sets; the clean sets of a streamed source have a store of their own."""
    sets = {name: _examples(source, which, own_test and name == "test") for name, which in rows.items()}
    if source.stored is None:
        return sets
    sets["train"] = replace(sets["train"], stored=source.stored)
    if source.stored.in_memory:
        return sets
    held = [name for name in rows if name != "train" and not (own_test and name == "test")]
    store, start = source.take(torch.cat([rows[name] for name in held])), 0
    for name in held:
        places = torch.arange(start, start + len(rows[name]))
        sets[name] = replace(sets[name], inputs=store, places=places)
        start += len(places)
    sets["train"] = replace(sets["train"], places=None)
    return sets


def _examples(source: Source, rows: Tensor, own_test: bool) -> ExampleSet:
    inputs = source.test_inputs if own_test else source.inputs
    labels = source.test_labels if own_test else source.labels
    targets = source.test_targets if own_test else source.targets
    assert inputs is not None
    assert labels is not None
    corrupted = torch.zeros(len(rows), dtype=torch.bool)
    own_targets = None if targets is None else targets[rows]
    ids = source.test_ids if own_test else source.ids
    return ExampleSet(inputs, labels[rows], corrupted, rows, places=rows, targets=own_targets, ids=ids)


def _untrained(
    source: Source, rows: dict[str, Tensor], pool: Tensor, *, own_test: bool
) -> dict[str, ExampleSet]:
    """Return the examples of the train table that are in neither train nor meta set, as `untrained`.

    What is of the group of a train example is left out: a model that saw its like saw it.
    """
    drawn = [rows["validation"]] if own_test else [rows["validation"], rows["test"]]
    belongs = torch.arange(len(source.labels)) if source.groups is None else source.groups
    others = torch.cat([pool[~torch.isin(belongs[pool], belongs[rows["train"]])], *drawn])
    if source.train_labels is not None:
        others = others[source.train_labels[others] != NO_CLASS]
    if source.train_targets is not None:
        others = others[~source.train_targets[others].isnan()]
    examples = with_given(_examples(source, others, own_test=False), source)
    examples = replace(examples, stored=source.stored)
    return {"untrained": replace(examples, places=None) if examples.is_streamed else examples}


def _check_fit(source: Source, config: Data) -> None:
    misfit = data_misfit(config, is_regression=source.targets is not None)
    if misfit is not None:
        raise DataError(f"trial.data.{misfit.field}", *misfit[1:])


def _check_class_count(source: Source, config: Data) -> None:
    if len(source.class_names) > 1:
        return
    is_regression = source.targets is not None
    problem = "all targets are equal" if is_regression else f"the only class is {source.class_names[0]}"
    remedy = "give some that differ" if is_regression else "give two classes or more"
    if config.source == "image_folder":
        remedy = "name the folder that holds a folder per class"
    raise DataError("trial.data.source", config.source, problem, remedy)


def _scaled_weight_features(features_NF: Tensor, rows: Tensor, pool: Tensor) -> Tensor:
    """Return weight features of some rows, standardised with the statistics of the train pool."""
    mean_F, std_F = feature_scale(features_NF[pool])
    return ((features_NF[rows] - mean_F) / std_F).float()


def _mislabelled(
    examples: ExampleSet, noise: LabelNoise, source: Source, seed: int, purpose: str
) -> ExampleSet:
    generator = rng_for(seed, purpose)
    labels, corrupted = corrupt(examples.labels, noise, source, generator, f"trial.data.{purpose}")
    return replace(examples, labels=labels, corrupted=corrupted)


def _two_classes(source: Source, bias: TwoClassBias) -> Source:
    """Return the source with only the two classes of a bias, in its own order."""
    majority = source.class_index(bias.majority, "trial.data.bias.majority")
    minority = source.class_index(bias.minority, "trial.data.bias.minority")
    if majority == minority:
        problem = f"it is the majority, {bias.majority}, too"
        raise DataError("trial.data.bias.minority", bias.minority, problem, "name another class")
    return source.only(sorted((majority, minority)))
