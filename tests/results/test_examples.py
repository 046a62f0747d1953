import numpy as np
import pytest

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.examples import EVIDENCE, ExampleRecord, read_examples, write_examples


def record(count: int = 4, **changes) -> ExampleRecord:
    rng = np.random.default_rng(0)
    fields = {
        "class_names": ("cat", "=dog", "horse"),
        "ids": tuple(f"train.csv:{row}" for row in range(count)),
        "row": np.arange(count),
        "given": np.arange(count, dtype=np.int32) % 3,
        "target": np.full(count, np.nan, dtype=np.float32),
        "is_wrong": np.arange(count).astype(np.int8) % 3 - 1,
        "is_trained": np.arange(count) < count // 2,
        "evidence": {name: rng.random(count).astype(np.float32) for name in EVIDENCE},
        "classes": np.tile(np.array([2, 0, 1], dtype=np.int16), (count, 1)),
        "probabilities": np.tile(np.array([0.5, 0.3, 0.2], dtype=np.float32), (count, 1)),
        "predicted": np.full(count, np.nan, dtype=np.float32),
        "images": {1: b"png"},
        "texts": {0: "some text"},
    }
    return ExampleRecord(**(fields | changes))


def test_what_is_read_is_what_was_written(tmp_path):
    written, path = record(), tmp_path / "examples" / "aaaa.parquet"
    written.evidence["score"][2] = np.nan
    write_examples(path, written)
    read = read_examples(path)
    for name, value in vars(written).items():
        found = getattr(read, name)
        if name == "evidence":
            for each in EVIDENCE:
                np.testing.assert_array_equal(found[each], value[each])
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(found, value, err_msg=name)
        else:
            assert found == value, name
    assert [path.name for path in path.parent.iterdir()] == ["aaaa.parquet"], "and no draft"
    assert not read_examples(path, previews=False).images


def test_a_regression_has_no_classes(tmp_path):
    empty = np.empty((4, 0))
    written = record(classes=empty.astype(np.int16), probabilities=empty.astype(np.float32))
    write_examples(tmp_path / "examples" / "a.parquet", written)
    assert read_examples(tmp_path / "examples" / "a.parquet").classes.shape == (4, 0)


def test_an_example_takes_a_few_bytes(tmp_path):
    count, rng = 20_000, np.random.default_rng(0)
    probabilities = rng.dirichlet([1.0, 1, 1, 1], count).astype(np.float32)
    classes = np.argsort(-probabilities, axis=1).astype(np.int16)
    written = record(count, classes=classes, probabilities=probabilities, images={}, texts={})
    path = tmp_path / "examples" / "a.parquet"
    write_examples(path, written)
    assert path.stat().st_size < 60 * count


@pytest.mark.parametrize("damage", [b"no table", None])
def test_a_damaged_file_is_named_in_one_line(tmp_path, damage):
    path = tmp_path / "examples" / "a.parquet"
    write_examples(path, record())
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    with pytest.raises(StudyFolderError, match=r"evidence on labels .*a\.parquet.*unreadable"):
        read_examples(path)
