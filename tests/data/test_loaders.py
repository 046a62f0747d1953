import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.data import ExampleSet, MetaSampler, epoch_batches, steps_per_epoch
from l2rw_ray.errors import DataError


def numbered(count: int) -> ExampleSet:
    """Examples whose label is their own number."""
    rows = torch.arange(count)
    inputs = torch.zeros(count, 1, 1, 1, dtype=torch.uint8)
    return ExampleSet(inputs, rows, torch.zeros(count, dtype=torch.bool), rows)


def epoch(examples: ExampleSet, batch_size: int, rank: int = 0, world_size: int = 1, seed: int = 0, number=0):
    return list(epoch_batches(examples, batch_size, seed, number, rank, world_size))


@given(st.integers(1, 80), st.integers(1, 30), st.integers(1, 5))
def test_ranks_share_each_global_batch(count, batch_size, world_size) -> None:
    batch_size = max(batch_size, world_size)
    examples = numbered(count)
    whole = epoch(examples, batch_size)
    ranks = [epoch(examples, batch_size, rank, world_size) for rank in range(world_size)]
    steps = steps_per_epoch(count, batch_size, world_size)
    assert {len(batches) for batches in ranks} == {steps}
    assert steps == count // batch_size + (count % batch_size >= world_size and count % batch_size > 0)
    for together, *shares in zip(whole[:steps], *ranks, strict=True):
        assert torch.cat([share.index for share in shares]).tolist() == together.index.tolist()
        sizes = [len(share.index) for share in shares]
        assert min(sizes) > 0
        assert max(sizes) - min(sizes) <= 1
        assert {share.global_size for share in shares} == {sum(sizes)}


@given(st.integers(1, 80), st.integers(1, 30))
def test_one_pass_meets_every_example_once(count, batch_size) -> None:
    batches = epoch(numbered(count), batch_size)
    assert sorted(torch.cat([batch.index for batch in batches]).tolist()) == list(range(count))
    assert all(torch.equal(batch.y, batch.index) for batch in batches)
    assert all(len(batch.x) == len(batch.y) == batch.global_size for batch in batches)


def test_the_order_follows_seed_and_epoch() -> None:
    def order(**key: int) -> list[int]:
        return [i for batch in epoch(numbered(40), 7, **key) for i in batch.index.tolist()]

    assert order(seed=1, number=2) == order(seed=1, number=2)
    assert len({tuple(order(seed=s, number=n)) for s in (0, 1) for n in (0, 1)}) == 4


@given(st.integers(1, 30), st.data(), st.integers(0, 3))
def test_cycles_go_through_the_whole_meta_set(count, draw, seed) -> None:
    size = draw.draw(st.integers(1, count))
    sampler = MetaSampler(numbered(count), size, seed)
    steps = -(-4 * count // size)
    drawn = [place for step in range(steps) for place in sampler.batch(step)[1].tolist()]
    for start in range(0, 4 * count, count):
        assert sorted(drawn[start : start + count]) == list(range(count))


def test_a_meta_batch_depends_on_seed_and_step_alone() -> None:
    sampler, fresh = MetaSampler(numbered(10), 4, 3), MetaSampler(numbered(10), 4, 3)
    forward = [sampler.batch(step)[1].tolist() for step in range(9)]
    assert [fresh.batch(step)[1].tolist() for step in reversed(range(9))] == forward[::-1]
    assert [MetaSampler(numbered(10), 4, 4).batch(step)[1].tolist() for step in range(9)] != forward


@pytest.mark.parametrize("batch_size", [None, 6])
def test_the_whole_meta_set_every_step(batch_size) -> None:
    sampler = MetaSampler(numbered(6), batch_size, 0)
    for step in (0, 5):
        x, y = sampler.batch(step)
        assert y.tolist() == list(range(6))
        assert len(x) == 6


def test_a_meta_batch_larger_than_the_set_is_refused() -> None:
    with pytest.raises(DataError, match=r"method.meta_batch_size = 7: the meta set has 6 examples; use"):
        MetaSampler(numbered(6), 7, 0)


@given(st.integers(1, 12), st.data(), st.integers(1, 5), st.integers(0, 9))
def test_ranks_share_each_meta_batch(count, draw, world_size, step) -> None:
    sampler = MetaSampler(numbered(count), draw.draw(st.none() | st.integers(1, count)), 0)
    shares = [sampler.batch(step, rank, world_size) for rank in range(world_size)]
    assert torch.cat([y for _, y in shares]).tolist() == sampler.batch(step)[1].tolist()
    sizes = [len(y) for _, y in shares]
    assert max(sizes) - min(sizes) <= 1
    assert all(x.shape == (len(y), 1, 1, 1) for x, y in shares)
