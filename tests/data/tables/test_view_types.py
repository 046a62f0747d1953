import pyarrow as pa
import pytest

from l2rw_ray.data.tables.view_types import plain_batch, plain_schema


@pytest.mark.parametrize(
    ("views", "plain"),
    [(pa.string_view(), pa.large_string()), (pa.binary_view(), pa.large_binary())],
)
def test_views_become_plain_types_wherever_they_are(views: pa.DataType, plain: pa.DataType) -> None:
    values = pa.array([b"cat", b"newt"]).cast(pa.string()).cast(views)
    indices = pa.array([1, 0, None], pa.int32())
    batch = pa.record_batch(
        {
            "alone": pa.concat_arrays([values, values.slice(0, 1)]),
            "words": pa.DictionaryArray.from_arrays(indices, values),
            "number": pa.array([1, 2, 3]),
        }
    )
    read = plain_batch(batch)
    assert read.schema.equals(plain_schema(batch.schema))
    assert read.schema.types == [plain, pa.dictionary(pa.int32(), plain), pa.int64()]
    assert read.column("words").dictionary_decode().cast(pa.string()).to_pylist() == ["newt", "cat", None]
    assert plain_batch(read) is read


def test_metadata_is_kept() -> None:
    schema = pa.schema([("a", pa.string_view())], metadata={"class_names": "[]"})
    assert plain_schema(schema).metadata == {b"class_names": b"[]"}
