"""What every data section of a study makes of its source, without training anything."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from l2rw_ray.config import PlannedTrial
from l2rw_ray.config.data.sources import Data
from l2rw_ray.data import ExampleSet, Source, Splits, load_source, make_splits
from l2rw_ray.data.sources.local_copy import describe_copy
from l2rw_ray.data.sources.samples import sample_images
from l2rw_ray.errors import DataError

SETS = ("train", "meta", "validation", "test")
_SAMPLES = 3


@dataclass(frozen=True)
class SourceSummary:
    """What a source holds.

    Attributes:
        name: As the study names it.
        copy: What lies on the disk.
        examples: How many there are, those of a test file of its own too.
        form: Shape of one, and whether it is an image.
        skipped: What was left out, a line per reason.
        skipped_rows: How many rows that is.
        left_out: Examples that were left out for their targets.
        difficulty: Mean over the examples, where it is known.
        samples: A few images of each class, uint8 [H, W, C]; None for vectors.
        class_names: Name of each class.
        is_regression: Whether examples have targets, of which the classes are deciles.
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
    class_names: tuple[str, ...]
    is_regression: bool


@dataclass(frozen=True)
class SetSummary:
    """One of the four sets.

    Attributes:
        before: Examples of each class without the protocol.
        after: Examples of each class by the labels that are trained on.
        corrupted: Share of labels or targets that are wrong on purpose.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    corrupted: float


@dataclass(frozen=True)
class DataSummary:
    """What one data section makes of its source.

    Attributes:
        levels: Fields in which the sections of the study differ, by path.
        source: What the source holds; the same object for sections that share it.
        seed: The seed it was drawn at.
        sets: By their names.
    """

    levels: dict[str, Any]
    source: SourceSummary
    seed: int
    sets: dict[str, SetSummary]


def summarise_data(trials: Sequence[PlannedTrial]) -> Iterator[DataSummary]:
    """Load, split and spoil every distinct data section of these trials, each at its first seed.

    Args:
        trials: Those of a study's plan.

    Raises:
        InputError: A source is missing or broken, or too small for what is asked.
        OutOfReachError: A source's store does not answer.
    """
    firsts: dict[str, PlannedTrial] = {}
    for trial in trials:
        firsts.setdefault(trial.config.data.model_dump_json(), trial)
    levels = _differences([json.loads(section) for section in firsts])
    known: dict[str, tuple[Source, SourceSummary]] = {}
    for trial, own in zip(firsts.values(), levels, strict=True):
        only = trial.config.data.source_only()
        key = only.model_dump_json()
        if key not in known:
            source = load_source(only)
            known[key] = source, _source_summary(only, source)
        source, summary = known[key]
        yield DataSummary(own, summary, trial.seed, _sets(source, trial.config.data, trial.seed))


def _source_summary(config: Data, source: Source) -> SourceSummary:
    is_image = source.inputs.ndim == 4
    shape = "×".join(
        map(str, [*source.inputs.shape[2:], source.inputs.shape[1]] if is_image else source.inputs.shape[1:])
    )
    return SourceSummary(
        config.source,
        describe_copy(config),
        len(source.labels) + (0 if source.test_labels is None else len(source.test_labels)),
        f"images of {shape}" if is_image else f"vectors of {shape}",
        tuple(f"{part.count} × {part.first}" for part in source.skipped),
        source.skipped_rows,
        source.left_out,
        None if source.difficulty is None else float(source.difficulty.mean()),
        sample_images(source, _SAMPLES),
        source.class_names,
        source.targets is not None,
    )


def _sets(source: Source, config: Data, seed: int) -> dict[str, SetSummary]:
    after = make_splits(source, config, seed)
    try:
        before = make_splits(source, config.without_protocol(), seed)
    except DataError:  # such as a meta set that only its bias makes small enough for a rare class
        before = after
    return {
        name: SetSummary(_counts(before, name, source), _counts(after, name, source), _corrupted(after, name))
        for name in SETS
    }


def _counts(splits: Splits, name: str, source: Source) -> tuple[int, ...]:
    """Examples of each of the source's classes, 0 of those that a bias leaves out."""
    examples: ExampleSet = getattr(splits, name)
    counts = examples.labels.bincount(minlength=len(splits.class_names)).tolist()
    own = dict(zip(splits.class_names, counts, strict=True))
    return tuple(own.get(label, 0) for label in source.class_names)


def _corrupted(splits: Splits, name: str) -> float:
    examples: ExampleSet = getattr(splits, name)
    return float(examples.corrupted.double().mean()) if len(examples) else 0.0


def _differences(sections: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each section, the fields in which they are not all the same, by dotted path."""
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
