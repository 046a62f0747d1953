"""Summarise the token ids of the four sets: their lengths, and what the tokenizer does not know.

Shape suffixes: N texts, T their tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.data import ExampleSet, Splits
from l2rw_ray.data.text.encoder import TextEncoder
from l2rw_ray.data.text.token_rows import TokenRows

_HIGH = 0.95


@dataclass(frozen=True)
class TokenSummary:
    """Token ids of the sets that one data section draws.

    Attributes:
        vocab_size: Number of tokens.
        is_trained: Whether the tokenizer was trained on the train pool.
        median: Tokens of a text of the train set before it is cut, half of the texts having fewer; of the
            other sets where the train set is streamed, which counts in none of these numbers.
        high: The same for 95 % of the texts.
        longest: The same for all.
        max_length: Tokens after which a text is cut.
        cut: Share of the texts that are cut, by set.
        unknown: Share of the tokens that the tokenizer does not know, by set; empty where it knows all.
    """

    vocab_size: int
    is_trained: bool
    median: int
    high: int
    longest: int
    max_length: int
    cut: Mapping[str, float]
    unknown: Mapping[str, float]


def summarise_tokens(splits: Splits, *, is_trained: bool) -> TokenSummary | None:
    """Return the lengths and unknown tokens of sets of texts; None for other sets.

    Args:
        splits: What `make_splits` returned.
        is_trained: Whether the tokenizer is not from a file.
    """
    encoder, rows = splits.train.encoder, splits.train.inputs
    if not isinstance(encoder, TextEncoder) or not isinstance(rows, TokenRows):
        return None
    drawn = {name: getattr(splits, name) for name in splits.hashes if len(getattr(splits, name))}
    sets = {name: own for name, own in drawn.items() if not own.is_streamed}
    measured = sets.values() if splits.train.is_streamed else [splits.train]
    whole_N = torch.cat([_texts(own).whole_N for own in measured])
    median, high = np.quantile(whole_N.numpy(), (0.5, _HIGH), method="higher").tolist()
    unknown = encoder.unknown_id
    return TokenSummary(
        encoder.input_sizes["vocab_size"],
        is_trained,
        median,
        high,
        int(whole_N.max()),
        rows.max_length,
        {name: _share(_texts(own).whole_N > _texts(own).lengths_N) for name, own in sets.items()},
        {} if unknown is None else {name: _share(_ids(own) == unknown) for name, own in sets.items()},
    )


def _texts(examples: ExampleSet) -> TokenRows:
    """Return the texts of one set."""
    rows, places = examples.inputs, examples.places
    assert isinstance(rows, TokenRows)
    return rows if places is None else rows.select(places)


def _ids(examples: ExampleSet) -> Tensor:
    """Return all tokens of a set, [T]."""
    rows = _texts(examples)
    places_T = torch.arange(int(rows.lengths_N.sum()))
    begins_N = rows.lengths_N.cumsum(0) - rows.lengths_N
    offset_T = (rows.starts_N - begins_N).repeat_interleave(rows.lengths_N)
    return rows.ids[places_T + offset_T]


def _share(chosen: Tensor) -> float:
    return float(chosen.double().mean())
