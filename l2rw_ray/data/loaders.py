"""Batches as pure functions of seed, epoch and step, so that a resumed trial sees what it would have."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from l2rw_ray.data.examples import ExampleSet
from l2rw_ray.data.streams import stream


@dataclass(frozen=True, slots=True)
class Batch:
    """One rank's share of a global batch.

    Attributes:
        x: Inputs, float32 [B, …].
        y: Labels, int64 [B].
        index: Positions in the train set, int64 [B].
        global_size: Examples on all ranks together.
    """

    x: Tensor
    y: Tensor
    index: Tensor
    global_size: int


def steps_per_epoch(count: int, batch_size: int, world_size: int = 1) -> int:
    """Steps of one pass: a last batch too small to give every rank an example is left out."""
    whole, rest = divmod(count, batch_size)
    return whole + (rest >= world_size and rest > 0)


def epoch_batches(
    examples: ExampleSet, batch_size: int, seed: int, epoch: int, rank: int = 0, world_size: int = 1
) -> Iterator[Batch]:
    """One rank's shares of the batches of one pass over a set, in an order drawn for the epoch.

    Args:
        examples: The train set.
        batch_size: Examples per global batch.
        seed: The trial's seed.
        epoch: Passes before this one.
        rank: The rank whose shares these are; shares of one batch differ by at most one example.
        world_size: Number of ranks.
    """
    order = torch.randperm(len(examples), generator=stream(seed, "order", epoch)).to(examples.inputs.device)
    for step in range(steps_per_epoch(len(examples), batch_size, world_size)):
        whole = order[step * batch_size : (step + 1) * batch_size]
        index = _share(whole, rank, world_size)
        yield Batch(*examples.take(index), index, len(whole))


class MetaSampler:
    """Batches of the meta set, without replacement in cycles that go through all of it.

    Args:
        meta: The meta set.
        batch_size: Examples per step on all ranks together; None, or the set's size, takes all.
        seed: The trial's seed.
    """

    def __init__(self, meta: ExampleSet, batch_size: int | None, seed: int) -> None:
        self._meta, self._seed = meta, seed
        self._batch_size = min(batch_size or len(meta), len(meta))
        self._everything = self._batch_size == len(meta)
        self._whole: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> tuple[Tensor, Tensor]:
        """One rank's inputs and labels for a step: a function of seed and step alone."""
        if not self._everything:
            return self._meta.take(_share(self._positions(step), rank, world_size))
        key = (rank, world_size)
        if key not in self._whole:
            self._whole[key] = self._meta.take(_share(torch.arange(len(self._meta)), rank, world_size))
        return self._whole[key]

    def _positions(self, step: int) -> Tensor:
        """Positions in the meta set, where cycles follow one another without a gap."""
        first = step * self._batch_size
        wanted = range(first, first + self._batch_size)
        cycles = {cycle: self._cycle(cycle) for cycle in {place // len(self._meta) for place in wanted}}
        return torch.tensor([cycles[place // len(self._meta)][place % len(self._meta)] for place in wanted])

    def _cycle(self, cycle: int) -> list[int]:
        generator = stream(self._seed, "meta_order", cycle)
        order: list[int] = torch.randperm(len(self._meta), generator=generator).tolist()
        return order


def _share(whole: Tensor, rank: int, world_size: int) -> Tensor:
    return whole[len(whole) * rank // world_size : len(whole) * (rank + 1) // world_size]
