"""Turn the texts of a source into token ids, with a tokenizer that has seen the train pool only."""

import hashlib
from importlib.metadata import version

import numpy as np
from torch import Tensor

from l2rw_ray.config.data.text import TextOptions, TokenizerOptions
from l2rw_ray.data.cache import CacheSection, cached
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
    content = _trained(given, texts, pool_K) if given.file is None else read_tokenizer(given.file)
    return TextEncoder(content, options.max_length)


def encoded(encoder: TextEncoder, texts: Texts) -> TokenRows:
    """Return the token ids of all texts, from the cache where they are there.

    Raises:
        DataError: No text fits into the encoder's `max_length`.
    """
    identity = {"texts": texts.digest, **encoder.state(), **_library()}
    packed = cached(identity, lambda: encoder.packed(texts), _TOKENS)
    return token_rows(packed, len(texts), encoder)


def _trained(options: TokenizerOptions, texts: Texts, pool_K: Tensor) -> str:
    identity = {
        "texts": texts.digest,
        "pool": hashlib.sha256(pool_K.numpy().tobytes()).hexdigest(),
        "tokenizer": options.model_dump(),
        **_library(),
    }

    def train() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        content = train_tokenizer(options, texts.iterate(pool_K)).encode()
        return np.frombuffer(content, dtype=np.uint8)

    return cached(identity, train, _TOKENS).numpy().tobytes().decode()


def _library() -> dict[str, str]:
    return {"tokenizers": version("tokenizers")}
