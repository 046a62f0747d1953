"""Processes that transform images ahead: what they bring is what would be made between two steps."""

import io
import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from l2rw_ray.config import parse_study
from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import Batch, ExampleSet, batches_in_order, epoch_batches, load_source, make_splits
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning.plan import plan_study
from tests.data.test_transforms import TRAIN, sets

CHANGES = {"train": TRAIN, "evaluate": [{"name": "Resize", "size": [8, 8]}]}


def train_set(**fields: Any) -> ExampleSet:
    examples: ExampleSet = sets(12, transforms=CHANGES, **fields).train
    return examples


def encoded(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def expect_same(found: Sequence[Batch], expected: Sequence[Batch]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.x, other.x)
        assert torch.equal(one.y, other.y)
        assert torch.equal(one.index, other.index)
        assert one.is_last == other.is_last


@pytest.mark.parametrize("num_workers", [1, 2])
def test_batches_are_the_same(num_workers: int) -> None:
    train, before = train_set(), torch.get_rng_state()
    whole = list(epoch_batches(train, 8, 0, 1))
    expect_same(list(epoch_batches(train, 8, 0, 1, num_workers=num_workers)), whole)
    expect_same(list(epoch_batches(train, 8, 0, 1, first=2, num_workers=num_workers)), whole[2:])
    assert torch.equal(torch.get_rng_state(), before), "the trial's other draws stay as they are"
    shares = [list(epoch_batches(train, 8, 0, 1, rank, 2, num_workers=num_workers)) for rank in range(2)]
    for step, batch in enumerate(whole):
        assert torch.equal(torch.cat([share[step].x for share in shares]), batch.x)


def test_sets_that_are_evaluated_are_the_same() -> None:
    train, index_K = train_set(normalize="data"), torch.arange(30).flip(0)
    found = list(batches_in_order(train, index_K, 8, num_workers=2))
    for (x, y), index_B in zip(found, index_K.split(8), strict=True):
        expected = train.take(index_B)
        assert torch.equal(x, expected[0])
        assert torch.equal(y, expected[1])


def test_augmentation_follows_the_transforms_of_evaluation() -> None:
    examples = sets(12, transforms={"evaluate": CHANGES["evaluate"]}).train
    changed = next(epoch_batches(examples, 30, 0, 0, augment=["flip"]))
    kept_B = (changed.x == examples.take(changed.index)[0]).flatten(1).all(dim=1)
    mirrored_B = (changed.x.flip(-1) == examples.take(changed.index)[0]).flatten(1).all(dim=1)
    assert changed.x.shape == (30, 3, 8, 8)
    assert bool((kept_B ^ mirrored_B).all())
    assert 0 < kept_B.sum() < 30


def test_processes_end_with_a_pass_that_is_not_finished() -> None:
    batches = epoch_batches(train_set(), 4, 0, 1, num_workers=2)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert not multiprocessing.active_children()


def test_a_streamed_set_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "cache"))
    pixels = np.random.default_rng(0).integers(0, 256, (60, 12, 12, 3), dtype=np.uint8)
    images = [encoded(image) for image in pixels]
    table = pa.table({"image": images, "label": [number % 2 for number in range(60)]})
    pq.write_table(table, tmp_path / "images.parquet", row_group_size=11)
    config = ParquetData.model_validate({
        "source": "parquet", "train": str(tmp_path / "images.parquet"), "stream": {"window": 16},
        "train_size": 40, "meta_per_class": 2, "test_size": 4, "transforms": CHANGES,
    })  # fmt: skip
    train = make_splits(load_source(config), config, 0).train
    assert train.is_streamed
    whole = list(epoch_batches(train, 8, 0, 1))
    expect_same(list(epoch_batches(train, 8, 0, 1, num_workers=2)), whole)
    expect_same(list(epoch_batches(train, 8, 0, 1, first=3, num_workers=2)), whole[3:])


def test_they_change_no_fingerprint(study_tree: dict[str, Any]) -> None:
    def fingerprint(**fields: Any) -> str:
        study_tree["trial"]["data"] |= {"transforms": {"train": ["RGB"]}, **fields}
        return plan_study(parse_study(study_tree))[0].trial_id

    assert fingerprint() == fingerprint(num_workers=3)


def test_they_need_transforms(study_tree: dict[str, Any]) -> None:
    study_tree["trial"]["data"] |= {"num_workers": 2}
    with pytest.raises(
        ConfigError, match=r"data.num_workers = 2: it is for transforms, and there are none; leave"
    ):
        parse_study(study_tree)
