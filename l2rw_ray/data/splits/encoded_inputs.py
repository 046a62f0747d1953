"""Texts and categories become numbers: by what the train pool of a seed holds, and nothing else."""

from dataclasses import replace

from torch import Tensor

from l2rw_ray.config.data.columns import InputColumns
from l2rw_ray.config.data.sources import Data
from l2rw_ray.data.categories.encoder import CategoryEncoder
from l2rw_ray.data.categories.mixed_rows import MixedRows
from l2rw_ray.data.categories.reader import MixedReader
from l2rw_ray.data.source import Source
from l2rw_ray.data.text.encoder import TextEncoder
from l2rw_ray.data.text.encoding import encoded, stored_text_encoder, text_encoder
from l2rw_ray.data.text.readers import TextReader, TokenReader
from l2rw_ray.data.text.texts import Texts


def encoded_source(
    source: Source, config: Data, pool: Tensor
) -> tuple[Source, TextEncoder | CategoryEncoder | None]:
    """Return a source with token ids in the place of texts, and indices in that of categories.

    A source of other inputs is returned as it is.

    Args:
        source: The source.
        config: The `data` section.
        pool: Rows of the train pool, ascending, int64.

    Returns:
        The source, and what made numbers of its inputs; None for other inputs.

    Raises:
        DataError: The tokenizer's file cannot be read, or leaves no room for a text.
    """
    if isinstance(source.inputs, Texts):
        assert isinstance(config, InputColumns)
        return _with_token_ids(source, source.inputs, config, pool)
    if isinstance(source.inputs, MixedRows):
        assert isinstance(config, InputColumns)
        return _with_indices(source, source.inputs, config, pool)
    return source, None


def _with_token_ids(
    source: Source, texts: Texts, config: InputColumns, pool: Tensor
) -> tuple[Source, TextEncoder]:
    stored = source.stored
    if stored is not None and source.is_streamed:
        assert isinstance(stored.reader, TextReader)
        encoder = stored_text_encoder(config, stored, pool)
        source = replace(source, stored=replace(stored, reader=TokenReader(stored.reader, encoder)))
    else:
        encoder = text_encoder(config, texts, pool)
    test = source.test_inputs
    return replace(
        source,
        inputs=encoded(encoder, texts),
        test_inputs=encoded(encoder, test) if isinstance(test, Texts) else None,
    ), encoder


def _with_indices(
    source: Source, rows: MixedRows, config: InputColumns, pool: Tensor
) -> tuple[Source, CategoryEncoder]:
    stored = source.stored
    if stored is not None and source.is_streamed:
        assert isinstance(stored.reader, MixedReader)
        reader = stored.reader.learnt(stored.table, pool)
        assert reader.encoder is not None
        encoder, source = reader.encoder, replace(source, stored=replace(stored, reader=reader))
    else:
        encoder = CategoryEncoder.learnt(rows, pool, config.features or ())
    test = source.test_inputs
    return replace(
        source,
        inputs=encoder.encoded(rows),
        test_inputs=encoder.encoded(test) if isinstance(test, MixedRows) else None,
    ), encoder
