"""Texts, features and categories that stay in their files: what a set in memory has, and no row held."""

import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import Splits, epoch_batches, load_source, make_splits
from l2rw_ray.data.sources.samples import sample_texts
from l2rw_ray.data.tables.table import Table
from l2rw_ray.errors import DataError
from l2rw_ray.trees import named_leaves

ROWS, WINDOW = 150, 20
SIZES = {"train_size": 90, "meta_per_class": 3, "validation_size": 12, "test_size": 15}
KINDS: dict[str, dict[str, Any]] = {
    "words": {"text": "text", "max_length": 6, "tokenizer": {"min_frequency": 1}},
    "byte pairs": {"text": "text", "tokenizer": {"kind": "bpe", "vocabulary_size": 300}},
    "features": {"features": ["a", "b", "when"], "missing": "mean"},
    "categories": {"categorical": ["kind", "code"]},
    "categories beside features": {"categorical": ["kind"], "features": ["a", "b"], "missing": "mean"},
}


def write(path: Path, **changed: Any) -> str:
    """Rows of each kind of input, in row groups of 17; a time in seconds, which float32 would round."""
    draw, generator = random.Random(0), np.random.default_rng(0)
    words = [f"w{number}ö" for number in range(40)]
    columns: dict[str, Any] = {
        "text": [" ".join(draw.choices(words, k=draw.randint(0, 9))) for _ in range(ROWS)],
        "a": generator.normal(size=ROWS),
        "b": [None if number % 9 == 0 else number * 0.1 for number in range(ROWS)],
        "when": 1.7e9 + np.arange(ROWS),
        "kind": [draw.choice(["x", "y", "z", None]) for _ in range(ROWS)],
        "code": generator.integers(0, 60, ROWS),
        "label": generator.integers(0, 3, ROWS),
        "price": generator.random(ROWS),
    }
    pq.write_table(pa.table(columns | changed), path, row_group_size=17)
    return str(path)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table of all kinds of inputs, and a cache of its own."""
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "cache"))
    return write(tmp_path / "rows.parquet")


def splits(table: str, stream: dict | None, **fields: Any) -> Splits:
    config = ParquetData(**{"source": "parquet", "train": table, **SIZES, "stream": stream, **fields})
    return make_splits(load_source(config), config, 3)


def equal(one: Any, other: Any) -> bool:
    """Whether two trees hold the same tensors, of the same types."""
    pairs = zip(named_leaves(one), named_leaves(other), strict=True)
    return all(
        first[0] == second[0] and first[1].dtype == second[1].dtype and torch.equal(first[1], second[1])
        for first, second in pairs
    )


@pytest.fixture
def tables_held(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Numbers of columns that were read together into memory."""
    found, features = list[int](), Table.features

    def counted(self: Table, columns: Any, *args: Any, **options: Any) -> Any:
        found.append(len(columns))
        return features(self, columns, *args, **options)

    monkeypatch.setattr(Table, "features", counted)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_held_sets_scales_and_encoders_are_those_in_memory(
    table: str, kind: str, tables_held: list[int]
) -> None:
    streamed = splits(table, {"window": WINDOW}, **KINDS[kind])
    assert max(tables_held, default=1) == 1, "one column is held at a time"
    held = splits(table, None, **KINDS[kind])
    assert streamed.hashes == held.hashes
    assert streamed.train.encoder == held.train.encoder
    assert equal(streamed.train.scales, held.train.scales)
    assert streamed.train.input_shape == held.train.input_shape
    assert streamed.train.input_sizes == held.train.input_sizes
    assert streamed.train.collate == held.train.collate
    for name in ("meta", "validation", "test"):
        one, other = getattr(streamed, name), getattr(held, name)
        every = torch.arange(len(one))
        assert equal(one.take(every), other.take(every)), name
    rows = streamed.train.inputs
    assert not any(map(len, rows.values() if isinstance(rows, dict) else [rows])), "no train row is held"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("world_size", [1, 2])
def test_batches_are_those_of_the_same_order_in_memory(table: str, kind: str, world_size: int) -> None:
    streamed = splits(table, {"window": WINDOW}, **KINDS[kind])
    held = splits(table, {"window": WINDOW, "in_memory": True}, **KINDS[kind])
    for rank in range(world_size):
        passes = (epoch_batches(each.train, 16, 3, 1, rank, world_size) for each in (streamed, held))
        for one, other in zip(*passes, strict=True):
            assert equal([one.x, one.y, one.index], [other.x, other.y, other.index])


REGRESSION = {"label": None, "target": "price", "meta_per_class": 1}
BY_FEATURE = {"noise": {"kind": "gaussian", "scale": 0.5, "by": "b"}}
UNIFORM = {"noise": {"kind": "uniform", "rate": 0.4}}
DOMINATED = {"bias": {"kind": "dominant_class", "level": 0.5, "class": 1}, "train_size": 40}


@pytest.mark.parametrize(
    "fields",
    [
        KINDS["words"] | REGRESSION,
        KINDS["features"] | REGRESSION | BY_FEATURE,
        KINDS["categories"] | UNIFORM | DOMINATED,
    ],
)
def test_targets_noise_and_bias_are_those_in_memory(table: str, fields: dict) -> None:
    held, streamed = (splits(table, stream, **fields).train for stream in (None, {"window": WINDOW}))
    for name in ("labels", "corrupted", "rows", "targets", "target_mean"):
        one, other = getattr(held, name), getattr(streamed, name)
        assert (one is None and other is None) or torch.equal(one, other), name


def test_a_test_table_of_its_own_is_encoded_alike(table: str, tmp_path: Path) -> None:
    own = write(tmp_path / "test.parquet")
    for fields in KINDS.values():
        drawn = [
            splits(table, stream, test=own, **fields | {"test_size": None})
            for stream in (None, {"window": 9})
        ]
        every = torch.arange(ROWS)
        assert equal(*(each.test.take(every) for each in drawn))


def test_texts_are_shown_from_the_files(table: str) -> None:
    options = {"source": "parquet", "train": table, "text": "text", "test_size": 9}
    held, read = (sample_texts(load_source(ParquetData(**options, stream=each)), 3) for each in (None, {}))
    assert read == held


@pytest.mark.parametrize("kind", KINDS)
def test_many_parts_carry_one_encoder(table: str, kind: str) -> None:
    train = splits(table, {"window": WINDOW}, **KINDS[kind]).train
    assert train.stored is not None
    parts = list(train.stored.parts(train.rows.sort().values))
    list(parts[0].read())  # makes what the encoder keeps beside its content
    alone, sent = len(pickle.dumps(parts[:1])), pickle.dumps(parts)
    assert len(sent) < alone + 500 * len(parts)
    again = pickle.loads(sent)
    for one, other in zip(parts, again, strict=True):
        both = (b"".join(row.tobytes() for rows in part.read() for row in rows) for part in (one, other))
        assert len(set(both)) == 1


@pytest.mark.parametrize(
    ("fields", "changed", "line"),
    [
        ({"text": "text"}, {"text": ["good"] * 40 + [None] * 110}, "no readable text in row 4"),
        ({"features": ["a"]}, {"a": [0.5] * 149 + [None]}, "features = 'a': null in row 149 of "),
        ({"text": "a"}, {}, "text = 'a': the column is of type double"),
        ({"categorical": ["a"]}, {}, "categorical = 'a': the column is of type double"),
        ({"text": "nothing"}, {}, "text = 'nothing': no such column"),
    ],
)
def test_what_cannot_be_used_is_named(
    table: str, tmp_path: Path, fields: dict, changed: dict, line: str
) -> None:
    with pytest.raises(DataError) as caught:
        splits(write(tmp_path / "bad.parquet", **changed), {}, **fields)
    assert line in str(caught.value)
