"""Images of a train set that is streamed, read and decoded by tasks of Ray Data.

Each rank runs an execution of its own, for the images of its share of the batches: none is decoded twice,
but a row group that several ranks want something of is read by each. The tasks decode, so that the process
that trains does not; what comes from them are raw pixels.
"""

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import ray.data
from ray.data import DataContext, Datasource, ExecutionOptions, ExecutionResources, ReadTask
from ray.data.block import BlockMetadata
from ray.exceptions import RayTaskError

from l2rw_ray.data import ImagePart
from l2rw_ray.data.images.arrow_blocks import as_block, from_block
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.errors import L2RWError

_TASKS_AT_ONCE = 1
"""Of each rank: blocks come in order, and a task decodes in threads."""
_IMAGES_PER_TASK = 16384
"""At least: Ray ends a process that is idle between two tasks, and another one takes seconds to start."""
_BLOCK_BYTES = 4 * 2**20
"""Largest block that a task hands over."""
_AHEAD_BYTES = 64 * 2**20
"""What a rank may have lying in Ray's object store, roughly."""


def read_through_ray_data(parts: Sequence[ImagePart]) -> Generator[Array]:
    """See `ReadParts`: by tasks beside this process, a few blocks ahead of it.

    The tasks ask for no CPU, since worker groups hold all that there are: a fraction would wait for ever.
    """
    if not parts:
        return
    left, tasks = sum(map(len, parts)), _bundled(parts)
    with DataContext.current(_settings()):
        dataset = ray.data.read_datasource(
            _Images(tasks), num_cpus=0, concurrency=_TASKS_AT_ONCE, override_num_blocks=len(tasks)
        )
    batches = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    with closing(batches) as blocks, _own_errors():
        for block in blocks:
            images = from_block(block, parts[0].shape)
            left -= len(images)
            if not left:
                next(blocks, None)  # goes to its end, which ends its threads: being closed leaves one behind
            yield images


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise what a task raised as it is, without the traces of the machinery in its message."""
    try:
        yield
    except RayTaskError as error:
        if isinstance(error.cause, L2RWError):
            raise error.cause from error
        raise


class _Images(Datasource):  # type: ignore[misc]  # its base is not typed
    """Image parts as Ray Data reads them, some together in a task."""

    def __init__(self, tasks: Sequence[Sequence[ImagePart]]) -> None:
        super().__init__()
        self._tasks = tasks

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of all images, decoded."""
        return sum(_bytes(part) for parts in self._tasks for part in parts)

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """All tasks, in their order."""
        return [
            ReadTask(
                partial(_blocks, parts),
                BlockMetadata(sum(map(len, parts)), sum(map(_bytes, parts)), None, None),
            )
            for parts in self._tasks
        ]


def _bundled(parts: Sequence[ImagePart]) -> list[list[ImagePart]]:
    bundles: list[list[ImagePart]] = []
    count = _IMAGES_PER_TASK
    for part in parts:
        if count >= _IMAGES_PER_TASK:
            bundles.append([])
            count = 0
        bundles[-1].append(part)
        count += len(part)
    return bundles


def _blocks(parts: Sequence[ImagePart]) -> Iterable[Any]:
    for part in parts:
        yield from map(as_block, part.images())


def _bytes(part: ImagePart) -> int:
    size = len(part)
    for side in part.shape:
        size *= side
    return size


def _settings() -> DataContext:
    """Blocks in order, few and small, and nothing printed."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells of each pass
    settings = DataContext.get_current().copy()
    ahead = ExecutionResources.for_limits(object_store_memory=_AHEAD_BYTES)
    settings.execution_options = ExecutionOptions(ahead, preserve_order=True)
    settings.target_max_block_size = _BLOCK_BYTES
    settings.enable_progress_bars = False
    settings.print_on_execution_start = False
    return settings
