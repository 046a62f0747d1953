"""A train set that stays in its files: the same sets, order and batches as in memory."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyarrow.fs import LocalFileSystem

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import Batch, RowPart, Splits, epoch_batches, load_source, make_splits, read_here
from l2rw_ray.data.images.reader import ImageReader
from l2rw_ray.data.sources.samples import sample_images
from l2rw_ray.data.streaming.stored_rows import StoredRows
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.tables.row_groups import RowGroup
from l2rw_ray.data.tables.table import Table
from l2rw_ray.data.tables.table_files import ParquetFormat
from l2rw_ray.errors import DataError

ROWS = 120
SIZES = {"train_size": 70, "meta_per_class": 3, "validation_size": 12, "test_size": 15}


@pytest.fixture
def folder(tmp_path: Path, encode: Callable[..., bytes]) -> Path:
    """120 grey images in two files of row groups of 17, with labels, groups and weight features."""
    generator = np.random.default_rng(0)
    images = [encode(pixels) for pixels in generator.integers(0, 256, (ROWS, 5, 4), dtype=np.uint8)]
    columns = {
        "image": images,
        "label": generator.integers(0, 3, ROWS),
        "who": generator.integers(0, 100, ROWS),
        "trust": generator.random(ROWS),
        "age": generator.random(ROWS),
    }
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, rows in (("a", slice(0, 70)), ("b", slice(70, ROWS))):
        table = pa.table({key: values[rows] for key, values in columns.items()})
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=17)
    return folder


def splits(folder: Path, stream: dict | None, seed: int = 3, **fields) -> Splits:
    config = ParquetData(**{"source": "parquet", "train": str(folder), **SIZES, "stream": stream, **fields})
    return make_splits(load_source(config), config, seed)


def batches(drawn: Splits, rank: int = 0, world_size: int = 1, epoch: int = 0, **options) -> list[Batch]:
    return list(epoch_batches(drawn.train, 16, 3, epoch, rank, world_size, **options))


@pytest.mark.parametrize(
    "fields",
    [
        {"noise": {"kind": "uniform", "rate": 0.4}, "meta_noise": {"kind": "uniform", "rate": 0.2}},
        {"bias": {"kind": "dominant_class", "level": 0.5, "class": 1}, "train_size": 40},
        {"bias": {"kind": "two_class", "majority": 2, "minority": 0, "ratio": 3}, "train_size": 20},
        {"group": "who", "train_size": None},
        {"image_size": (3, 6)},
        {"weight_features": ("trust",)},
        {"target": "age", "meta_per_class": 1, "noise": {"kind": "gaussian", "scale": 0.5}},
    ],
)
def test_the_sets_are_those_that_are_drawn_in_memory(folder: Path, fields: dict) -> None:
    held, streamed = splits(folder, None, **fields), splits(folder, {"window": 20}, **fields)
    assert streamed.hashes == held.hashes
    assert streamed.class_names == held.class_names
    for name in ("labels", "corrupted", "rows", "weight_features", "targets", "target_mean", "target_std"):
        one, other = getattr(held.train, name), getattr(streamed.train, name)
        assert (one is None and other is None) or torch.equal(one, other), name
    for name in ("meta", "validation", "test"):
        one, other = getattr(held, name), getattr(streamed, name)
        every = torch.arange(len(one))
        assert all(map(torch.equal, one.take(every), other.take(every))), name
    assert streamed.train.input_shape == held.train.input_shape
    assert streamed.train.inputs.numel() == 0, "no train image is held"


def test_a_test_table_of_its_own_is_held(folder: Path, image_table: Path) -> None:
    test = folder / "b.parquet"
    fields = {"train": str(folder / "a.parquet"), "test": str(test), "test_size": None, "train_size": 30}
    held, streamed = splits(folder, None, **fields), splits(folder, {}, **fields)
    every = torch.arange(len(held.test))
    assert torch.equal(held.test.take(every)[0], streamed.test.take(every)[0])


@pytest.mark.parametrize("window", [1, 7, 20, 1000])
@pytest.mark.parametrize("world_size", [1, 3])
@pytest.mark.parametrize("augment", [(), ("crop", "flip")])
def test_streamed_batches_are_those_of_the_same_order_in_memory(
    folder: Path, window: int, world_size: int, augment: tuple[str, ...]
) -> None:
    streamed = splits(folder, {"window": window})
    held = splits(folder, {"window": window, "in_memory": True})
    for rank in range(world_size):
        pairs = zip(
            batches(streamed, rank, world_size, epoch=1, augment=augment),
            batches(held, rank, world_size, epoch=1, augment=augment),
            strict=True,
        )
        for one, other in pairs:
            assert torch.equal(one.x, other.x)
            assert torch.equal(one.y, other.y)
            assert torch.equal(one.index, other.index)
            assert (one.global_size, one.is_last) == (other.global_size, other.is_last)


def test_streamed_images_are_resized(folder: Path) -> None:
    streamed, held = (splits(folder, {"in_memory": held}, image_size=(3, 6)) for held in (False, True))
    for one, other in zip(batches(streamed), batches(held), strict=True):
        assert one.x.shape[2:] == (3, 6)
        assert torch.equal(one.x, other.x)


def test_ranks_share_each_batch_and_decode_no_image_twice(folder: Path) -> None:
    drawn, read = splits(folder, {"window": 20}), list[int]()

    def count(parts: Sequence[RowPart]) -> Iterator[Array]:
        read.append(sum(map(len, parts)))
        yield from read_here(parts)

    whole = batches(drawn)
    shares = [batches(drawn, rank, 2, read_parts=count) for rank in (0, 1)]
    for together, first, second in zip(whole, *shares, strict=True):
        assert torch.equal(torch.cat([first.x, second.x]), together.x)
    assert sum(read) == len(drawn.train)


def stored(sizes: Sequence[int], window: int) -> StoredRows:
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    groups = [
        RowGroup("f", n, start, start, size)
        for n, (start, size) in enumerate(zip(starts, sizes, strict=True))
    ]
    table = Table("trial.data.train", "t", ParquetFormat(), LocalFileSystem(), (), (), ())
    return StoredRows(table, ImageReader("image", (1, 2, 2)), tuple(groups), window, in_memory=True)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 60), st.integers(0, 3), st.data())
def test_a_pass_goes_through_row_groups_and_windows(sizes, window, seed, draw) -> None:
    rows = torch.tensor(draw.draw(st.sets(st.integers(0, sum(sizes) - 1), min_size=1).map(list)))
    images = stored(sizes, window)
    arrival = images.arrival(rows, seed, epoch=2)
    order = images.windowed(arrival, seed, epoch=2)
    assert sorted(order.tolist()) == list(range(len(rows)))
    for start in range(0, len(rows), window):
        assert set(order[start : start + window].tolist()) == set(arrival[start : start + window].tolist())
    parts = list(images.parts(rows[arrival]))
    assert len({part.group for part in parts}) == len(parts), "each row group is read once"
    assert all((np.diff(part.places_K) > 0).all() for part in parts)
    assert torch.cat([torch.from_numpy(p.places_K) + p.group.start for p in parts]).equal(rows[arrival])


def test_the_order_follows_seed_and_epoch() -> None:
    images, rows = stored([10] * 6, 8), torch.arange(60)
    orders = {
        (seed, epoch): tuple(images.windowed(images.arrival(rows, seed, epoch), seed, epoch).tolist())
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4
    assert orders[1, 1] == tuple(images.windowed(images.arrival(rows, 1, 1), 1, 1).tolist())


def test_no_more_than_a_window_is_held(folder: Path) -> None:
    drawn, window = splits(folder, {"window": 20}), 20
    ahead, most = 0, 0

    def one_by_one(parts: Sequence[RowPart]) -> Iterator[Array]:
        nonlocal ahead
        for images in read_here(parts):
            for image in images:
                ahead += 1
                yield image[None]

    for batch in epoch_batches(drawn.train, 16, 3, 0, read_parts=one_by_one):
        most = max(most, ahead)
        ahead -= len(batch.index)
    assert most <= window + 16


def test_a_pass_that_is_left_early_ends_reading(folder: Path) -> None:
    ended = []

    def watched(parts: Sequence[RowPart]) -> Iterator[Array]:
        try:
            yield from read_here(parts)
        finally:
            ended.append(True)

    pass_ = epoch_batches(splits(folder, {}).train, 16, 3, 0, read_parts=watched)
    next(pass_)
    assert not ended
    pass_.close()
    assert ended


def test_single_train_images_and_orders_of_ones_own_are_refused(folder: Path) -> None:
    train = splits(folder, {}).train
    with pytest.raises(DataError, match=r"trial\.data\.stream .* cannot be taken one by one"):
        train.take(torch.arange(2))
    with pytest.raises(DataError, match=r"trial\.data\.stream .* order of its own"):
        next(epoch_batches(train, 4, 0, 0, order=torch.arange(8)))


def test_a_broken_image_is_named_when_it_is_read(folder: Path) -> None:
    table = pq.read_table(folder / "b.parquet")
    broken = [value if row != 20 else b"no image" for row, value in enumerate(table["image"].to_pylist())]
    table = table.set_column(0, "image", pa.array(broken))
    pq.write_table(table, folder / "b.parquet", row_group_size=17)
    group = RowGroup(str(folder / "b.parquet"), 1, 17, 87, 17)
    part = RowPart(LocalFileSystem(), ImageReader("image", (1, 5, 4)), group, np.arange(2, 17))
    with pytest.raises(
        DataError, match=r"trial\.data\.image = 'image': row 20 of .*b\.parquet is no readable"
    ):
        list(part.read())


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_parts_can_be_sent_to_another_process(folder: Path, scheme: str) -> None:
    train = splits(folder, {}, train=f"{scheme}{folder}").train
    assert train.stored is not None
    for part in train.stored.parts(train.rows.sort().values):
        sent = pickle.dumps(part)
        assert len(sent) < 1000
        both = zip(part.read(), pickle.loads(sent).read(), strict=True)
        assert all(np.array_equal(*pair) for pair in both)


def test_a_file_that_was_cut_short_is_named(folder: Path) -> None:
    drawn = splits(folder, {})
    (folder / "b.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"b\.parquet.*no readable Parquet file"):
        batches(drawn)


def test_samples_are_read_from_the_files(folder: Path) -> None:
    configs = [ParquetData(source="parquet", train=str(folder), test_size=9, stream=s) for s in (None, {})]
    drawn = [sample_images(load_source(config), 3) for config in configs]
    assert drawn[0] is not None
    assert drawn[1] is not None
    for one, other in zip(*drawn, strict=True):
        assert all(map(np.array_equal, one, other))
