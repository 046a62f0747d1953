"""Batches as pure functions of seed, epoch and step, so that a resumed trial sees the same ones."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat

import torch
from torch import Tensor

from l2rw_ray.data.augmentation import augmented, draw_changes
from l2rw_ray.data.examples import ExampleSet
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.streaming.parts import ReadParts, read_here
from l2rw_ray.data.streaming.streamed_inputs import streamed_inputs
from l2rw_ray.data.transform_workers import ImageRequest, ImageStore, transformed_images
from l2rw_ray.data.transforms import draw_seeds
from l2rw_ray.errors import DataError
from l2rw_ray.trees import Tree, map_tensors


@dataclass(frozen=True, slots=True)
class Batch:
    """One rank's share of a global batch.

    Attributes:
        x: Inputs, float32 [B, …], or a tree of tensors [B, …], as the source gave them.
        y: Labels, int64 [B], or standardised targets, float32 [B].
        index: Positions in the set, int64 [B].
        global_size: Examples on all ranks together.
        is_last: Whether it is the last one of its epoch.
    """

    x: Tree
    y: Tensor
    index: Tensor
    global_size: int
    is_last: bool = False


def steps_per_epoch(count: int, batch_size: int, world_size: int = 1) -> int:
    """Return the steps of one pass; a last batch with fewer examples than ranks is dropped.

    Args:
        count: Examples in the set.
        batch_size: Examples per global batch.
        world_size: Number of ranks.
    """
    whole, rest = divmod(count, batch_size)
    return whole + (rest >= world_size and rest > 0)


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """Return the order of one pass over a set, the same for all methods, int64 [N].

    Args:
        count: Examples in the set.
        seed: The trial's seed.
        epoch: Passes before this one.
    """
    return torch.randperm(count, generator=rng_for(seed, "order", epoch))


def epoch_batches(
    examples: ExampleSet,
    batch_size: int,
    seed: int,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
    *,
    order: Tensor | None = None,
    augment: Sequence[str] = (),
    read_parts: ReadParts = read_here,
    first: int = 0,
    num_workers: int = 0,
) -> Generator[Batch]:
    """Yield one rank's shares of the batches of one pass over a set.

    Args:
        examples: The train set.
        batch_size: Examples per global batch, at least as many as ranks.
        seed: The trial's seed.
        epoch: Passes before this one.
        rank: The rank whose shares these are; shares of one batch differ by at most one example.
        world_size: Number of ranks.
        order: Positions in the set in the order they come in, int64 [K]; None for that of all of them
            which a set with `stored` rows has, else for their `epoch_order`.
        augment: `flip`, `crop`, or both, of images, drawn anew for each step.
        read_parts: Reads the rows of a streamed set.
        first: Batches to leave out, from which a pass goes on that was begun before. Those of a streamed set
            are read all the same.
        num_workers: Processes that transform images ahead; 0 for none.

    Raises:
        DataError: The set is streamed, and an order is given; or its rows cannot be read.
    """
    if order is None:
        order = _pass_order(examples, seed, epoch)
    elif examples.is_streamed:
        raise examples.streaming_error("the method goes through the train set in an order of its own")
    device, steps = examples.labels.device, steps_per_epoch(len(order), batch_size, world_size)
    order = order.to("cpu" if examples.is_streamed else device)
    wholes = order.split(batch_size)[:steps]
    shares = [_share(whole, rank, world_size) for whole in wholes]

    def draws(draw: Callable[[int, int, int, int], Tensor]) -> Iterator[Tensor]:
        for step in range(first, steps):
            yield _share(draw(seed, epoch, step, len(wholes[step])), rank, world_size)

    augments = examples.transforms is not None and examples.transforms.augments
    seeds = draws(draw_seeds) if augments else repeat(None)
    changes = draws(partial(draw_changes, augment)) if augment else repeat(None)
    with (
        closing(_inputs(examples, shares, seed, epoch, read_parts, first)) as inputs,
        closing(_transformed(examples, inputs, seeds, num_workers)) as images,
    ):
        for step, (x, changes_B3) in enumerate(zip(images, changes, strict=False), start=first):
            index_B = shares[step].to(device)
            x = map_tensors(x, lambda tensor: tensor.to(device))
            x = examples.normalised(x if changes_B3 is None else augmented(x, changes_B3))
            y, is_last = examples.answers(index_B), step == steps - 1
            yield Batch(x, y, index_B, len(wholes[step]), is_last=is_last)


def batches_in_order(
    examples: ExampleSet, index_K: Tensor, batch_size: int, num_workers: int = 0
) -> Generator[tuple[Tree, Tensor]]:
    """Yield inputs and answers of some examples, as `ExampleSet.take` returns them, a batch at a time.

    Args:
        examples: A set that is not streamed.
        index_K: Positions in the set, int64 [K].
        batch_size: Examples of a batch.
        num_workers: Processes that transform images ahead, where there are several batches; 0 for none.
    """
    shares = [share.to(examples.labels.device) for share in index_K.split(batch_size)]
    inputs = map(examples.inputs_of if examples.transforms is None else examples.places_of, shares)
    processes = num_workers if len(shares) > 1 else 0
    with closing(_transformed(examples, inputs, repeat(None), processes)) as images:
        for share, x in zip(shares, images, strict=True):
            yield examples.normalised(x), examples.answers(share)


def _pass_order(examples: ExampleSet, seed: int, epoch: int) -> Tensor:
    """Return positions in a set in the order that all methods share, int64 [N]."""
    stored = examples.stored
    if stored is None:
        return epoch_order(len(examples), seed, epoch)
    return stored.windowed(stored.arrival(examples.rows.cpu(), seed, epoch), seed, epoch)


def _inputs(
    examples: ExampleSet,
    shares: Sequence[Tensor],
    seed: int,
    epoch: int,
    read_parts: ReadParts,
    first: int,
) -> Generator[Tree]:
    """Yield the inputs of one rank's share of each batch from the first one on, [B, …].

    In the place of images that are in memory and are to be transformed stand their places in the store.
    """
    if examples.stored is None or not examples.is_streamed:
        yield from map(
            examples.inputs_of if examples.transforms is None else examples.places_of, shares[first:]
        )
        return
    rows_N = examples.rows.cpu()
    arrival_N = examples.stored.arrival(rows_N, seed, epoch)
    with closing(streamed_inputs(examples.stored, rows_N, arrival_N, shares, read_parts)) as inputs:
        yield from islice(inputs, first, None)


def _transformed(
    examples: ExampleSet, inputs: Iterable[Tree], seeds: Iterable[Tensor | None], num_workers: int
) -> Generator[Tree]:
    """Yield inputs as the set's transforms leave them; without any, as they are."""
    if examples.transforms is None:
        yield from inputs
        return
    assert isinstance(examples.inputs, Tensor)
    store = ImageStore(examples.inputs, examples.transforms)
    with closing(transformed_images(store, map(ImageRequest, inputs, seeds), num_workers)) as images:
        yield from images


class MetaSampler:
    """Batches of the meta set, drawn without replacement in cycles through all of it.

    Cycles follow one another without a gap, so a batch may hold the end of one and the beginning
    of the next. A fixed batch is the first one at every step. With more ranks than examples in a
    batch, some ranks' shares are empty.

    Args:
        meta: The meta set.
        batch_size: Examples per step on all ranks together; None, or the set's size, takes all.
        seed: The trial's seed.
        fixed: Whether every step has the same batch.
        augment: Changes images as those that are trained on, anew at each step: by `flip`, `crop`, both or
            neither, and by the set's train transforms. None leaves images as they are evaluated.

    Raises:
        DataError: A batch is larger than the set.
    """

    def __init__(
        self,
        meta: ExampleSet,
        batch_size: int | None,
        seed: int,
        *,
        fixed: bool = False,
        augment: Sequence[str] | None = None,
    ) -> None:
        self.examples, self._seed, self._fixed = meta, seed, fixed
        self._augment = augment or ()
        self._transforms = meta.transforms if augment is not None else None
        self._is_changed = bool(augment) or (self._transforms is not None and self._transforms.is_random)
        if batch_size is not None and batch_size > len(meta):
            problem, remedy = f"the meta set has {len(meta)} examples", "use at most that, or null for all"
            raise DataError("method.meta_batch_size", batch_size, problem, remedy)
        self._batch_size = batch_size or len(meta)
        self._cycles: dict[int, Tensor] = {}
        self._whole: dict[tuple[int, int], tuple[Tree, Tensor]] = {}

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> tuple[Tree, Tensor]:
        """Return one rank's share of the batch of a step, a function of seed and step alone.

        Args:
            step: Steps before this one.
            rank: The rank whose share it is; shares differ by at most one example.
            world_size: Number of ranks.

        Returns:
            Inputs, as `Batch.x`, and labels, int64 [M], or standardised targets, float32 [M].
        """
        positions = self._positions(0 if self._fixed else step)
        if self._is_changed:
            return self._augmented(positions, step, rank, world_size)
        if self._batch_size < len(self.examples):
            return self.examples.take(_share(positions, rank, world_size))
        key = (rank, world_size)
        if key not in self._whole:
            self._whole[key] = self.examples.take(_share(positions, rank, world_size))
        return self._whole[key]

    def _augmented(self, positions_M: Tensor, step: int, rank: int, world_size: int) -> tuple[Tree, Tensor]:
        examples, count = self.examples, len(positions_M)
        index_M = _share(positions_M, rank, world_size).to(examples.labels.device)
        x = examples.inputs_of(index_M)
        if self._transforms is not None and self._transforms.is_random:
            seeds_M = draw_seeds(self._seed, 0, step, count, "meta transforms")
            x = self._transforms.augmented(x, _share(seeds_M, rank, world_size))
        elif self._transforms is not None:
            x = self._transforms.evaluated(x)
        if self._augment:
            changes_M3 = draw_changes(self._augment, self._seed, 0, step, count, "meta augment")
            x = augmented(x, _share(changes_M3, rank, world_size))
        return examples.normalised(x), examples.answers(index_M)

    def _positions(self, step: int) -> Tensor:
        if self._batch_size == len(self.examples):
            return torch.arange(self._batch_size)
        cycle, place = divmod(step * self._batch_size, len(self.examples))
        positions = self._cycle(cycle)[place : place + self._batch_size]
        missing = self._batch_size - len(positions)
        return torch.cat([positions, self._cycle(cycle + 1)[:missing]]) if missing else positions

    def _cycle(self, cycle: int) -> Tensor:
        """Order one pass over the meta set; keep the last two orders, steps being mostly consecutive."""
        if cycle not in self._cycles:
            self._cycles = dict(list(self._cycles.items())[-1:])
            generator = rng_for(self._seed, "meta_order", cycle)
            self._cycles[cycle] = torch.randperm(len(self.examples), generator=generator)
        return self._cycles[cycle]


def _share(whole: Tensor, rank: int, world_size: int) -> Tensor:
    return whole[len(whole) * rank // world_size : len(whole) * (rank + 1) // world_size]
