"""Arrow's view types, which Polars writes, as the plain types that Arrow's functions know."""

import pyarrow as pa


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema with plain types of texts and bytes in the place of views."""
    fields = [field.with_type(_plain(field.type)) for field in schema]
    return pa.schema(fields, metadata=schema.metadata)


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with columns of plain types in the place of views."""
    schema = plain_schema(batch.schema)
    if schema.equals(batch.schema):
        return batch
    columns = [_cast(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _plain(given: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(given):
        return pa.large_string()
    if pa.types.is_binary_view(given):
        return pa.large_binary()
    if pa.types.is_dictionary(given):
        return pa.dictionary(given.index_type, _plain(given.value_type), given.ordered)
    if pa.types.is_struct(given):
        return pa.struct([field.with_type(_plain(field.type)) for field in given])
    return given


def _cast(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    if values.type.equals(wanted):
        return values
    if pa.types.is_dictionary(values.type):  # a cast would decode it, which Arrow cannot
        words = values.dictionary.cast(wanted.value_type)
        return pa.DictionaryArray.from_arrays(values.indices, words, ordered=wanted.ordered)
    return values.cast(wanted)
