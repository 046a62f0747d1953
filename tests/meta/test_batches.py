"""Batches of the meta set, pass after pass."""

from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler

from l2rw_ray.errors import InputError
from l2rw_ray.meta import cycle_batches


def test_passes_follow_one_another() -> None:
    batches = cycle_batches(DataLoader(range(5), batch_size=2))
    assert [batch.tolist() for batch in islice(batches, 5)] == [[0, 1], [2, 3], [4], [0, 1], [2, 3]]


def test_each_pass_is_shuffled_anew() -> None:
    loader = DataLoader(range(50), batch_size=50, shuffle=True, generator=torch.Generator().manual_seed(0))
    first, second = islice(cycle_batches(loader), 2)
    assert first.tolist() != second.tolist()
    assert sorted(first.tolist()) == sorted(second.tolist())


def test_ranks_get_shares_of_the_same_passes() -> None:
    loaders = [DataLoader(range(8), 4, sampler=DistributedSampler(range(8), 2, rank)) for rank in (0, 1)]
    ranks = zip(*(islice(cycle_batches(loader), 3) for loader in loaders), strict=True)
    passes = [(left.tolist(), right.tolist()) for left, right in ranks]
    assert all(sorted(left + right) == list(range(8)) for left, right in passes)
    assert len({str(shares) for shares in passes}) == 3, "the sampler was told no pass"


@pytest.mark.parametrize(("loader", "number"), [([], 1), (iter([1, 2]), 2)])
def test_a_pass_without_batches_ends_it(loader, number: int) -> None:
    with pytest.raises(InputError, match=f"pass {number} has no batch"):
        list(islice(cycle_batches(loader), 3))


def test_what_cannot_be_iterated_over_is_one_line() -> None:
    with pytest.raises(InputError, match="loader = 'int': it cannot be iterated over; give a loader"):
        next(cycle_batches(3))
