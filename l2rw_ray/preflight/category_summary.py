"""Summarise the columns of categories: their values, and what is missing or unseen by set."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from l2rw_ray.data import ExampleSet, Splits
from l2rw_ray.data.categories.encoder import CATEGORIES, MISSING_INDEX, UNSEEN_INDEX, CategoryEncoder


@dataclass(frozen=True)
class CategorySummary:
    """One column of categories, as a data section draws the sets.

    Attributes:
        name: Its name.
        values: How many different values the train pool holds.
        missing: Share of missing values, by set.
        unseen: Share of values that the train pool does not hold, by set.
    """

    name: str
    values: int
    missing: Mapping[str, float]
    unseen: Mapping[str, float]


def summarise_categories(splits: Splits) -> tuple[CategorySummary, ...]:
    """Return a summary of each column of categories; none where there are none.

    A train set that is streamed counts in none of its shares.

    Args:
        splits: What `make_splits` returned.
    """
    encoder = splits.train.encoder
    if not isinstance(encoder, CategoryEncoder):
        return ()
    sets = {name: getattr(splits, name) for name in splits.hashes if len(getattr(splits, name))}
    indices = {name: _indices(own) for name, own in sets.items() if not own.is_streamed}
    return tuple(
        CategorySummary(
            column,
            len(values),
            {name: _share(found[:, place] == MISSING_INDEX) for name, found in indices.items()},
            {name: _share(found[:, place] == UNSEEN_INDEX) for name, found in indices.items()},
        )
        for place, (column, values) in enumerate(encoder.columns.items())
    )


def _indices(examples: ExampleSet) -> Tensor:
    """Return the indices of a set, int64 [N, K]."""
    assert isinstance(examples.inputs, dict)
    found: Tensor = examples.inputs[CATEGORIES]
    return found if examples.places is None else found[examples.places]


def _share(chosen: Tensor) -> float:
    return float(chosen.double().mean())
