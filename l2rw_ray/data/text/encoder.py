"""Texts to token ids, by the tokenizer of a trial."""

import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.text.token_rows import IDS, MASK, TokenRows
from l2rw_ray.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_PADS = ("[PAD]", "<pad>", "<|pad|>", "<PAD>")
"""Padding tokens of tokenizers that do not say which theirs is."""
_TEXTS_AT_A_TIME = 4096


@dataclass(frozen=True)
class TextEncoder:
    """A tokenizer, and the length at which texts are cut.

    Attributes:
        content: The tokenizer, as the text of a `tokenizer.json`.
        max_length: Most tokens of a text, those that mark its beginning and end included.
    """

    content: str
    max_length: int

    def __call__(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return texts as a model takes them: `input_ids` and `attention_mask`, int64 [B, T]."""
        rows = token_rows(self.packed(texts), len(texts), self)
        return rows.take(torch.arange(len(texts)))

    @property
    def shape(self) -> dict[str, tuple[int]]:
        """Shape of the longest text possible, of ids and mask."""
        return dict.fromkeys((IDS, MASK), (self.max_length,))

    @property
    def input_sizes(self) -> dict[str, int]:
        """Return `vocab_size`, one more than the largest id."""
        return {"vocab_size": max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1}

    @cached_property
    def pad_id(self) -> int:
        """Id of the padding token; 0 where there is none, which the mask makes harmless."""
        if self._tokenizer.padding is not None:
            return int(self._tokenizer.padding["pad_id"])
        known = (self._tokenizer.token_to_id(name) for name in _PADS)
        return next((place for place in known if place is not None), 0)

    @cached_property
    def unknown_id(self) -> int | None:
        """Id of what stands for unknown words; None where there is none."""
        name = json.loads(self.content)["model"].get("unk_token")
        return None if name is None else self._tokenizer.token_to_id(name)

    def packed(self, texts: Iterable[str]) -> Array:
        """Return the lengths of N texts, those before they were cut, and all ids, in one int32 array.

        A text without any token becomes one of padding, which counts as its own.

        Raises:
            DataError: `max_length` has no room for the tokens that mark beginning and end.
        """
        tokenizer, lengths, whole, ids = self._cutting, array("i"), array("i"), array("i")
        marks = tokenizer.num_special_tokens_to_add(False)
        coming = iter(texts)
        while part := list(islice(coming, _TEXTS_AT_A_TIME)):
            for found in tokenizer.encode_batch(part):
                own = found.ids or [self.pad_id]
                lengths.append(len(own))
                whole.append(len(own) + sum(len(rest.ids) - marks for rest in found.overflowing))
                ids.extend(own)
        return np.concatenate([np.frombuffer(part, dtype=np.int32) for part in (lengths, whole, ids)])

    def state(self) -> dict[str, Any]:
        """Return plain values from which `TextEncoder(**state)` is the same."""
        return {"content": self.content, "max_length": self.max_length}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was made of the content: it is sent to other processes once."""
        return self.state()

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self.content)

    @cached_property
    def _cutting(self) -> "Tokenizer":
        """Return a tokenizer that cuts texts, and does not pad them, whatever its file asks for."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.content)
        marks = tokenizer.num_special_tokens_to_add(False)
        if self.max_length <= marks:
            problem = f"the tokenizer marks each text by {marks} tokens"
            raise DataError("trial.data.max_length", self.max_length, problem, f"use {marks + 1} or more")
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_length)
        return tokenizer


def token_rows(packed: Tensor | Array, count: int, encoder: TextEncoder) -> TokenRows:
    """Return the store of token ids that `TextEncoder.packed` described.

    Args:
        packed: What it returned.
        count: Number of texts.
        encoder: What packed them.
    """
    everything = torch.as_tensor(packed)
    lengths_N, whole_N, ids = everything.tensor_split((count, 2 * count))
    starts_N = lengths_N.cumsum(0) - lengths_N  # int64, the others stay as the cache maps them
    return TokenRows(ids, starts_N, lengths_N, whole_N, encoder.max_length, encoder.pad_id)
