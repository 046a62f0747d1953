"""Tokenizers of the library `tokenizers`: train one, or read one from a file."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from l2rw_ray.config.data.text import TokenizerOptions
from l2rw_ray.errors import DataError, first_line
from l2rw_ray.weight_files import resolved

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD, UNKNOWN = "[PAD]", "[UNK]"
"""Special tokens of a trained tokenizer, ids 0 and 1."""
_FIELD = "trial.data.tokenizer.file"


def train_tokenizer(options: TokenizerOptions, texts: Iterable[str]) -> str:
    """Train a tokenizer, and return it as the text of a `tokenizer.json`.

    The same texts in the same order give the same tokenizer, in every process.

    Args:
        options: Kind and size.
        texts: What it is trained on.
    """
    tokenizer, trainer = _of_words(options) if options.kind == "word" else _of_byte_pairs(options)
    tokenizer.train_from_iterator(iter(texts), trainer)
    return str(tokenizer.to_str())


def _of_words(options: TokenizerOptions) -> tuple["Tokenizer", Any]:
    """Return a tokenizer as BERT's before it takes words apart, and its trainer."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=options.lowercase, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer, trainers.WordLevelTrainer(
        vocab_size=options.vocabulary_size,
        min_frequency=options.min_frequency,
        special_tokens=[PAD, UNKNOWN],
        show_progress=False,
    )


def _of_byte_pairs(options: TokenizerOptions) -> tuple["Tokenizer", Any]:
    """Return a tokenizer as GPT-2's, and its trainer."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    cased = [normalizers.Lowercase()] if options.lowercase else []
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *cased])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer, trainers.BpeTrainer(
        vocab_size=options.vocabulary_size,
        min_frequency=options.min_frequency,
        special_tokens=[PAD, UNKNOWN],
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )


def read_tokenizer(file: str) -> str:
    """Return the text of a `tokenizer.json`.

    Raises:
        DataError: It is missing, or no such file.
    """
    try:
        text = resolved(_FIELD, file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(_FIELD, file, f"cannot be read ({first_line(error)})", "check the path") from error
    from tokenizers import Tokenizer

    try:
        Tokenizer.from_str(text)
    except Exception as error:  # the library raises no other
        problem = f"no tokenizer ({first_line(error)})"
        raise DataError(_FIELD, file, problem, "give a tokenizer.json of the library tokenizers") from error
    return text
