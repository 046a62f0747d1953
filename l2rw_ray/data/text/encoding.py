"""Turn the texts of a source into token ids, with a tokenizer that has seen the train pool only."""

import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import version

import numpy as np
from torch import Tensor

from l2rw_ray.config.data.text import TextOptions, TokenizerOptions
from l2rw_ray.data.cache import CacheSection, cached
from l2rw_ray.data.streaming.stored_rows import StoredRows
from l2rw_ray.data.text.encoder import TextEncoder, token_rows
from l2rw_ray.data.text.texts import Texts
from l2rw_ray.data.text.token_rows import TokenRows
from l2rw_ray.data.text.tokenizer import read_tokenizer, train_tokenizer

_TOKENS = CacheSection("tokens", max_bytes=5 * 2**30)


def text_encoder(options: TextOptions, texts: Texts, pool_K: Tensor) -> TextEncoder:
    """Return the encoder of a trial: with a tokenizer from its file, or trained on the train pool.

    Args:
        options: The `data` section.
        texts: Those of the train table.
        pool_K: Rows of the train pool, ascending, int64.

    Raises:
        DataError: The tokenizer's file cannot be read.
    """
    given = options.tokenizer
    if given.file is not None:
        return TextEncoder(read_tokenizer(given.file), options.max_length)
    content = _trained(given, {"texts": texts.digest}, texts.iterate(pool_K), pool_K)
    return TextEncoder(content, options.max_length)


def stored_text_encoder(options: TextOptions, stored: StoredRows, pool_K: Tensor) -> TextEncoder:
    """Return the encoder of a trial whose texts stay in their files; see `text_encoder`.

    A tokenizer is trained in one pass, in which no more than a few texts are held at a time; that gives the
    one which is trained on texts in memory.

    Raises:
        DataError: The tokenizer's file, or a text, cannot be read.
    """
    given = options.tokenizer
    if given.file is not None:
        return TextEncoder(read_tokenizer(given.file), options.max_length)
    identity = {"files": stored.table.identity, **stored.reader.identity}
    texts = (row.tobytes().decode() for row in stored.iterate(pool_K))
    return TextEncoder(_trained(given, identity, texts, pool_K), options.max_length)


def encoded(encoder: TextEncoder, texts: Texts) -> TokenRows:
    """Return the token ids of all texts, from the cache where they are there.

    Raises:
        DataError: No text fits into the encoder's `max_length`.
    """
    identity = {"texts": texts.digest, **encoder.state(), **_library()}
    packed = cached(identity, lambda: encoder.packed(texts), _TOKENS)
    return token_rows(packed, len(texts), encoder)


def _trained(
    options: TokenizerOptions, source: Mapping[str, object], texts: Iterable[str], pool_K: Tensor
) -> str:
    """Return a tokenizer trained on some texts of a source, from the cache where it is there."""
    identity = {
        **source,
        "pool": hashlib.sha256(pool_K.numpy().tobytes()).hexdigest(),
        "tokenizer": options.model_dump(),
        **_library(),
    }

    def train() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        content = train_tokenizer(options, texts).encode()
        return np.frombuffer(content, dtype=np.uint8)

    return cached(identity, train, _TOKENS).numpy().tobytes().decode()


def _library() -> dict[str, str]:
    return {"tokenizers": version("tokenizers")}
