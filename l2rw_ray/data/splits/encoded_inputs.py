"""Texts and categories become numbers: by what the train pool of a seed holds, and nothing else."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from l2rw_ray.config.data.columns import InputColumns
from l2rw_ray.config.data.sources import Data
from l2rw_ray.data.categories.encoder import CategoryEncoder
from l2rw_ray.data.categories.mixed_rows import MixedRows
from l2rw_ray.data.examples import ExampleSet
from l2rw_ray.data.source import Source
from l2rw_ray.data.text.encoding import encoded, text_encoder
from l2rw_ray.data.text.texts import Texts


def with_encoded_inputs(
    sets: dict[str, ExampleSet], source: Source, config: Data, pool: Tensor
) -> dict[str, ExampleSet]:
    """Return the sets with token ids in the place of texts, and indices in that of categories.

    Sets of other inputs are returned as they are.

    Args:
        sets: The four sets by name, whose inputs are those of the source.
        source: The source.
        config: The `data` section.
        pool: Rows of the train pool, ascending, int64.

    Raises:
        DataError: The tokenizer's file cannot be read, or leaves no room for a text.
    """
    inputs: Any = source.inputs
    if isinstance(inputs, Texts):
        assert isinstance(config, InputColumns)
        texts = text_encoder(config, inputs, pool)
        return _replaced(sets, texts, {id(store): encoded(texts, store) for store in _stores(source)})
    if isinstance(inputs, MixedRows):
        assert isinstance(config, InputColumns)
        categories = CategoryEncoder.learnt(inputs, pool, config.features or ())
        return _replaced(
            sets, categories, {id(store): categories.encoded(store) for store in _stores(source)}
        )
    return sets


def _stores(source: Source) -> list[Any]:
    """Return the inputs of the train table and those of the test table, where there is one."""
    return [store for store in (source.inputs, source.test_inputs) if store is not None]


def _replaced(sets: dict[str, ExampleSet], encoder: Any, by_store: dict[int, Any]) -> dict[str, ExampleSet]:
    return {
        name: replace(examples, inputs=by_store[id(examples.inputs)], encoder=encoder)
        for name, examples in sets.items()
    }
