"""Flips and crops: by hand on a tiny image, alike for any number of ranks, and on train batches only."""

from dataclasses import replace

import pytest
import torch

from l2rw_ray.config.data.sources import DigitsData
from l2rw_ray.data import ExampleSet, MetaSampler, Source, epoch_batches, make_splits
from l2rw_ray.data.augmentation import PADDING, augmented, draw_changes
from l2rw_ray.errors import DataError

BOTH = ("crop", "flip")


def test_a_tiny_image_by_hand() -> None:
    image = torch.tensor([[[1, 2, 3], [4, 5, 6]], [[11, 12, 13], [14, 15, 16]]], dtype=torch.uint8)
    for changes, expected in (
        ([0, 0, 0], [[1, 2, 3], [4, 5, 6]]),
        ([0, 0, 1], [[3, 2, 1], [6, 5, 4]]),
        ([1, 0, 0], [[0, 0, 0], [1, 2, 3]]),
        ([-1, 0, 0], [[4, 5, 6], [0, 0, 0]]),
        ([0, 1, 0], [[0, 1, 2], [0, 4, 5]]),
        ([0, -2, 0], [[3, 0, 0], [6, 0, 0]]),
        ([1, 1, 1], [[0, 0, 0], [2, 1, 0]]),
        ([4, 0, 0], [[0, 0, 0], [0, 0, 0]]),
    ):
        result = augmented(image[None], torch.tensor([changes]))
        assert result.dtype == torch.uint8
        assert result[0, 0].tolist() == expected
        second = [[pixel + 10 if pixel else 0 for pixel in row] for row in expected]
        assert result[0, 1].tolist() == second, "every channel alike"


def test_each_image_of_a_batch_goes_its_own_way() -> None:
    images = torch.randint(0, 256, (9, 3, 6, 5), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    before, changes_B3 = images.clone(), draw_changes(BOTH, 0, 0, 0, 9)
    together = augmented(images, changes_B3)
    assert len({tuple(change) for change in changes_B3.tolist()}) > 4
    for place in range(9):
        alone = augmented(images[place : place + 1], changes_B3[place : place + 1])
        assert torch.equal(together[place], alone[0])
    assert torch.equal(images, before)


def test_draws_go_over_the_whole_range_and_follow_seed_epoch_and_step() -> None:
    moves_N2, mirrored_N = draw_changes(BOTH, 0, 0, 0, 20_000).split([2, 1], dim=1)
    counts = torch.bincount((moves_N2 + PADDING).flatten())
    assert len(counts) == 2 * PADDING + 1
    assert ((counts / 40_000 - 1 / 9).abs() < 0.01).all()
    assert 0.48 < mirrored_N.double().mean() < 0.52
    draws = {
        tuple(draw_changes(BOTH, *key, 8).flatten().tolist())
        for key in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(2)).tolist()
    }
    assert len(draws) == 8
    assert torch.equal(draw_changes(BOTH, 3, 2, 1, 8), draw_changes(BOTH, 3, 2, 1, 8))


def test_one_kind_leaves_the_draws_of_the_other_as_they_were() -> None:
    both = draw_changes(BOTH, 0, 0, 0, 50)
    assert torch.equal(draw_changes(("crop",), 0, 0, 0, 50), both * torch.tensor([1, 1, 0]))
    assert torch.equal(draw_changes(("flip",), 0, 0, 0, 50), both * torch.tensor([0, 0, 1]))


@pytest.fixture
def examples() -> ExampleSet:
    images = torch.randint(0, 256, (23, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    rows = torch.arange(23)
    return ExampleSet(images, rows % 3, torch.zeros(23, dtype=torch.bool), rows)


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_see_what_one_process_sees(examples: ExampleSet, world_size: int) -> None:
    whole = list(epoch_batches(examples, 10, 0, 1, augment=BOTH))
    ranks = [
        list(epoch_batches(examples, 10, 0, 1, rank, world_size, augment=BOTH)) for rank in range(world_size)
    ]
    for together, *shares in zip(whole, *ranks, strict=True):
        assert torch.equal(torch.cat([share.x for share in shares]), together.x)


def test_order_and_labels_stay_and_images_change_at_every_epoch(examples: ExampleSet) -> None:
    plain, changed = (next(epoch_batches(examples, 23, 0, 0, augment=kinds)) for kinds in ((), BOTH))
    assert torch.equal(plain.index, changed.index)
    assert torch.equal(plain.y, changed.y)
    assert not torch.equal(plain.x, changed.x)
    assert changed.x.min() >= -1
    assert changed.x.max() <= 1
    mirrored = next(epoch_batches(examples, 23, 0, 0, augment=("flip",))).x
    same = (mirrored == plain.x).flatten(1).all(1)
    assert torch.equal(mirrored[~same], plain.x[~same].flip(-1))
    assert 0 < same.sum() < 23


def test_a_meta_set_that_is_trained_on_changes_at_every_step(examples: ExampleSet) -> None:
    for size in (10, 23):
        plain, changed = MetaSampler(examples, size, 0), MetaSampler(examples, size, 0, augment=BOTH)
        for step in (0, 3):
            (x, y), (other, labels) = plain.batch(step), changed.batch(step)
            assert torch.equal(y, labels)
            assert not torch.equal(x, other)
            shares = [changed.batch(step, rank, 2)[0] for rank in range(2)]
            assert torch.equal(torch.cat(shares), other)
        assert not torch.equal(changed.batch(0)[0], changed.batch(1)[0])
        assert torch.equal(MetaSampler(examples, size, 0, augment=()).batch(3)[0], plain.batch(3)[0])


def test_only_train_batches_change(make_source) -> None:
    source = replace(
        make_source(60, 60),
        inputs=torch.arange(120 * 9, dtype=torch.int64).reshape(120, 1, 3, 3).to(torch.uint8),
    )
    sizes = {"train_size": 40, "meta_per_class": 3, "validation_size": 10}
    plain, changed = (
        make_splits(source, DigitsData(source="digits", augment=kinds, **sizes), 0) for kinds in ((), BOTH)
    )
    assert plain.hashes == changed.hashes
    for name in ("meta", "validation", "test"):
        index = torch.arange(len(getattr(plain, name)))
        assert torch.equal(getattr(plain, name).take(index)[0], getattr(changed, name).take(index)[0])
    assert torch.equal(MetaSampler(plain.meta, 4, 0).batch(3)[0], MetaSampler(changed.meta, 4, 0).batch(3)[0])


def test_vectors_are_refused(make_source) -> None:
    source: Source = replace(make_source(30, 30), inputs=torch.zeros(60, 4))
    config = DigitsData(source="digits", augment=["flip"], train_size=10)
    with pytest.raises(
        DataError, match=r"trial.data.augment = \['flip'\]: inputs are feature vectors; leave"
    ):
        make_splits(source, config, 0)
