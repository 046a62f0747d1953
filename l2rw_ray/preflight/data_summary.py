"""Summarise the data of a study: its sources and the sets that each data section draws from them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from l2rw_ray.config import PlannedTrial
from l2rw_ray.config.data.sources import Data
from l2rw_ray.data import ExampleSet, Source, Splits, load_source, make_splits
from l2rw_ray.data.categories.mixed_rows import MixedRows
from l2rw_ray.data.row_store import RowStore
from l2rw_ray.data.sources.local_copy import describe_copy
from l2rw_ray.data.sources.samples import sample_images, sample_texts
from l2rw_ray.errors import DataError
from l2rw_ray.preflight.category_summary import CategorySummary, summarise_categories
from l2rw_ray.preflight.duplicates import SETS, ContentHashes, SharedContent
from l2rw_ray.preflight.label_summary import LabelSummary, label_summary, scarce_classes, set_origins
from l2rw_ray.preflight.token_summary import TokenSummary, summarise_tokens
from l2rw_ray.trees import Tree, named_leaves

_SAMPLES = 3


@dataclass(frozen=True)
class SourceSummary:
    """Contents of a source.

    Attributes:
        name: Name of the source in the study.
        copy: Description of its local copy.
        examples: Number of examples, including those of a separate test file.
        form: Shape of an example, and whether it is an image; of a tree type and shape of each tensor.
        skipped: Bad rows that were skipped, a line per reason.
        skipped_rows: Number of skipped rows.
        left_out: Number of examples that were excluded because of their targets.
        difficulty: Mean difficulty of the examples; None when unknown.
        samples: A few images of each class, uint8 [H, W, C]; None where examples are no images.
        texts: A few texts of each class; None where examples are no texts.
        class_names: Name of each class.
        is_regression: Whether examples have targets; the classes are then deciles of the target.
        labels: What is known of its labels; None where all count as right.
        notes: What is worth knowing of how it was read, a sentence each.
        warnings: What may not be as it was meant, a sentence each.
    """

    name: str
    copy: str
    examples: int
    form: str
    skipped: tuple[str, ...]
    skipped_rows: int
    left_out: int
    difficulty: float | None
    samples: tuple[tuple[np.ndarray[Any, Any], ...], ...] | None
    texts: tuple[tuple[str, ...], ...] | None
    class_names: tuple[str, ...]
    is_regression: bool
    labels: LabelSummary | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetSummary:
    """Contents of one of the four sets.

    Attributes:
        before: Number of examples of each class without the protocol.
        after: Number of examples of each class with it, by their given labels.
        corrupted: Share of wrong labels or targets among those that are known to be right or wrong.
        unverified: Number of labels or targets of which neither is known.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    corrupted: float
    unverified: int = 0


@dataclass(frozen=True)
class DataSummary:
    """The sets that one data section draws from its source.

    Attributes:
        levels: Values of the fields in which the study's data sections differ, by path.
        source: Contents of the source; the same object for sections that share it.
        seed: Seed of the draw.
        sets: The four sets by name; empty where they cannot be drawn.
        tokens: Lengths of their texts; None where examples are no texts.
        categories: Their columns of categories.
        problem: Why they cannot be drawn; None where they can.
        origins: Where each set comes from, by its name; empty where all come from one pool.
        shared: Pairs of sets that share content; None where that cannot be seen.
        scarce: Classes with too few verified examples, with their numbers.
    """

    levels: dict[str, Any]
    source: SourceSummary
    seed: int
    sets: dict[str, SetSummary]
    tokens: TokenSummary | None = None
    categories: tuple[CategorySummary, ...] = ()
    problem: DataError | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[SharedContent, ...] | None = None
    scarce: tuple[str, ...] = ()


def summarise_data(trials: Sequence[PlannedTrial]) -> Iterator[DataSummary]:
    """Draw the sets of every distinct data section of these trials, each at its first seed.

    Args:
        trials: The trials of a study's plan.

    Raises:
        InputError: A source is missing, broken or too small.
        OutOfReachError: The store of a source is unreachable.
    """
    firsts: dict[str, PlannedTrial] = {}
    for trial in trials:
        firsts.setdefault(trial.built_in.data_for_model.model_dump_json(), trial)
    levels = _differences([json.loads(section) for section in firsts])
    known: dict[str, tuple[Source, SourceSummary, ContentHashes]] = {}
    for trial, section_levels in zip(firsts.values(), levels, strict=True):
        only = trial.built_in.data.source_only()
        key = only.model_dump_json()
        if key not in known:
            source = load_source(only)
            known[key] = source, _source_summary(only, source), ContentHashes(source)
        yield _summary(section_levels, trial, *known[key])


def _summary(
    levels: dict[str, Any],
    trial: PlannedTrial,
    source: Source,
    summary: SourceSummary,
    hashes: ContentHashes,
) -> DataSummary:
    config, seed = trial.built_in.data_for_model, trial.seed_of("split")
    origins, scarce = set_origins(config, source), scarce_classes(config, source)
    try:
        splits = make_splits(source, config, seed)
    except DataError as problem:
        if summary.labels is None:
            raise
        return DataSummary(levels, summary, seed, {}, problem=problem, origins=origins, scarce=scarce)
    return DataSummary(
        levels,
        summary,
        seed,
        _sets(source, splits, config, seed),
        summarise_tokens(splits, is_trained=config.tokenizer_file is None),
        summarise_categories(splits),
        origins=origins,
        shared=hashes.shared(splits) if hashes.is_known else None,
        scarce=scarce,
    )


def _source_summary(config: Data, source: Source) -> SourceSummary:
    return SourceSummary(
        config.source,
        describe_copy(config),
        len(source.labels) + (0 if source.test_labels is None else len(source.test_labels)),
        _form(source.inputs),
        tuple(f"{part.count} × {part.first}" for part in source.skipped),
        source.skipped_rows,
        source.left_out,
        None if source.difficulty is None else float(source.difficulty.mean()),
        sample_images(source, _SAMPLES),
        sample_texts(source, _SAMPLES),
        source.class_names,
        source.targets is not None,
        label_summary(source),
        source.notes,
        source.warnings,
    )


def _form(inputs: Tree | RowStore) -> str:
    if isinstance(inputs, MixedRows):
        numbers = 0 if inputs.numbers_NF is None else inputs.numbers_NF.shape[1]
        beside = f"{_counted(numbers, 'feature')} and " if numbers else ""
        return f"rows of {beside}{_counted(len(inputs.columns), 'column')} of categories"
    if isinstance(inputs, RowStore):
        return "texts"
    if not isinstance(inputs, Tensor):
        named = [(name, str(part.dtype), list(part.shape[1:])) for name, part in named_leaves(inputs)]
        parts = [f"{name} {dtype.removeprefix('torch.')} {shape}" for name, dtype, shape in named]
        return f"examples of {', '.join(parts)}"
    is_image = inputs.ndim == 4
    shape = "×".join(map(str, [*inputs.shape[2:], inputs.shape[1]] if is_image else inputs.shape[1:]))
    return f"images of {shape}" if is_image else f"vectors of {shape}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _sets(source: Source, after: Splits, config: Data, seed: int) -> dict[str, SetSummary]:
    try:
        before = make_splits(source, config.without_protocol(), seed)
    except DataError:  # without its bias, the meta set may need more examples of a rare class than there are
        before = after
    return {
        name: SetSummary(
            _counts(before, name, source),
            _counts(after, name, source),
            getattr(after, name).corrupted_fraction or 0.0,
            _unverified(after, name),
        )
        for name in SETS
    }


def _counts(splits: Splits, name: str, source: Source) -> tuple[int, ...]:
    """Count the examples of each of the source's classes; 0 for a class that a bias excludes."""
    examples: ExampleSet = getattr(splits, name)
    counts = examples.labels.bincount(minlength=len(splits.class_names)).tolist()
    by_class = dict(zip(splits.class_names, counts, strict=True))
    return tuple(by_class.get(label, 0) for label in source.class_names)


def _unverified(splits: Splits, name: str) -> int:
    examples: ExampleSet = getattr(splits, name)
    return 0 if examples.unverified is None else int(examples.unverified.sum())


def _differences(sections: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each section, the fields in which the sections differ, by dotted path."""
    flat = [dict(_leaves(section)) for section in sections]
    paths = dict.fromkeys(path for section in flat for path in section)
    differing = [path for path in paths if len({json.dumps(section.get(path)) for section in flat}) > 1]
    return [{path: section[path] for path in differing if path in section} for section in flat]


def _leaves(tree: dict[str, Any], prefix: str = "data") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}.{name}")
        else:
            yield f"{prefix}.{name}", value
