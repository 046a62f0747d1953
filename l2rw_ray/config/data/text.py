"""Texts in the `data` section: the column, and how its texts become token ids."""

from typing import Literal, Self

from pydantic import Field, model_validator

from l2rw_ray.config.section import Section, conflict

_BYTES = 256
_SPECIAL = 2
"""The tokens of padding and of unknown words."""
_TRAINING = ("kind", "vocabulary_size", "min_frequency", "lowercase")


class TokenizerOptions(Section):
    """How texts become token ids: by a tokenizer that is trained on the train pool, or by a given one.

    The train pool is what the meta, validation and test sets leave: no text of those is looked at.
    """

    file: str | None = None
    """A `tokenizer.json` of the library `tokenizers`, such as Hugging Face's models have; null trains one.
    Its content counts as part of the trial, its path does not."""
    kind: Literal["word", "bpe"] = "word"
    """Of a trained one. `word`: words and punctuation marks are tokens, rare ones unknown. `bpe`: byte pair
    encoding; every text of every language can be written with its tokens."""
    vocabulary_size: int = Field(default=20_000, ge=_SPECIAL + 1)
    """Most tokens of a trained one, those of padding and of unknown words included."""
    min_frequency: int = Field(default=2, ge=1)
    """How often a word, or a pair of tokens, must occur in the train pool to become a token."""
    lowercase: bool = True
    """Whether a trained one takes upper and lower case for the same."""

    @model_validator(mode="after")
    def _is_trained_or_given(self) -> Self:
        if self.file is not None:
            for name in _TRAINING:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise conflict(name, getattr(self, name), "a file is named, which has its own", "drop it")
        if self.file is None and self.kind == "bpe" and self.vocabulary_size < _BYTES + _SPECIAL:
            problem = f"{_BYTES} bytes and {_SPECIAL} special tokens are in it anyway"
            raise conflict(
                "vocabulary_size", self.vocabulary_size, problem, f"use {_BYTES + _SPECIAL} or more"
            )
        return self


class TextOptions(Section):
    """A column of texts in a table."""

    text: str | None = None
    """Column of texts to learn from, instead of an image. A model gets a dict of `input_ids` and
    `attention_mask`, int64 [B, T], padded to the longest text of the batch."""
    tokenizer: TokenizerOptions = TokenizerOptions()
    """How texts become token ids."""
    max_length: int = Field(default=256, ge=1)
    """Tokens after which a text is cut."""

    @model_validator(mode="after")
    def _tokenizer_has_texts(self) -> Self:
        if self.text is None:
            for name in ("tokenizer", "max_length"):
                given = getattr(self, name)
                if given != type(self).model_fields[name].default:
                    value = given.model_dump(exclude_defaults=True) if isinstance(given, Section) else given
                    raise conflict(name, value, "no column of texts is named", f"set text, or drop {name}")
        return self
