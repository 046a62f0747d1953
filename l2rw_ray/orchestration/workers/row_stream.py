"""Stream the rows of a train set, read and decoded by tasks of Ray Data.

Each rank runs its own execution for the rows of its share of the batches: no row is decoded twice, but a row
group that several ranks need is read by each of them. The tasks return pixels, token ids or numbers, so that
the training process decodes nothing.
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

from l2rw_ray.data import RowPart
from l2rw_ray.data.streaming.arrow_blocks import as_block, from_block
from l2rw_ray.data.streaming.row_reader import Rows
from l2rw_ray.errors import L2RWError

_TASKS_AT_ONCE = 1
"""Concurrent tasks of each rank: blocks arrive in order, and a task decodes in threads."""
_ROWS_PER_TASK = 16384
"""Minimum: Ray ends a process that is idle between two tasks, and starting another one takes seconds."""
_BLOCK_BYTES = 4 * 2**20
"""Maximum size of a block that a task returns."""
_AHEAD_BYTES = 64 * 2**20
"""Approximate maximum size of a rank's blocks in Ray's object store."""


def read_through_ray_data(parts: Sequence[RowPart]) -> Generator[Rows]:
    """Yield the rows of parts in order, read by tasks a few blocks ahead; a `ReadParts`.

    The tasks request no CPU, since worker groups hold all of them: even a fraction would never be granted.
    """
    if not parts:
        return
    left, tasks = sum(map(len, parts)), _bundled(parts)
    with DataContext.current(_settings()):
        dataset = ray.data.read_datasource(
            _Rows(tasks), num_cpus=0, concurrency=_TASKS_AT_ONCE, override_num_blocks=len(tasks)
        )
    batches = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    with closing(batches) as blocks, _unwrapped_errors():
        for block in blocks:
            rows = from_block(block, parts[0].reader.format)
            left -= len(rows)
            if not left:
                next(blocks, None)  # exhausting it ends its threads; closing it leaves one behind
            yield rows


@contextmanager
def _unwrapped_errors() -> Iterator[None]:
    """Raise this package's errors in tasks as they are, without Ray's traceback in the message."""
    try:
        yield
    except RayTaskError as error:
        if isinstance(error.cause, L2RWError):
            raise error.cause from error
        raise


class _Rows(Datasource):  # type: ignore[misc]  # its base is not typed
    """Parts of rows as a source of Ray Data.

    Args:
        tasks: The parts that each task reads.
    """

    def __init__(self, tasks: Sequence[Sequence[RowPart]]) -> None:
        super().__init__()
        self._tasks = tasks

    def estimate_inmemory_data_size(self) -> int:
        """Return the bytes of all rows once they are read, at most."""
        return sum(_bytes(part) for parts in self._tasks for part in parts)

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """Return all tasks in order."""
        return [
            ReadTask(
                partial(_blocks, parts),
                BlockMetadata(sum(map(len, parts)), sum(map(_bytes, parts)), None, None),
            )
            for parts in self._tasks
        ]


def _bundled(parts: Sequence[RowPart]) -> list[list[RowPart]]:
    """Group parts into tasks of at least `_ROWS_PER_TASK` rows; the last one may have fewer."""
    bundles: list[list[RowPart]] = []
    count = _ROWS_PER_TASK
    for part in parts:
        if count >= _ROWS_PER_TASK:
            bundles.append([])
            count = 0
        bundles[-1].append(part)
        count += len(part)
    return bundles


def _blocks(parts: Sequence[RowPart]) -> Iterable[Any]:
    for part in parts:
        for rows in part.read():
            yield as_block(rows, part.reader.format)


def _bytes(part: RowPart) -> int:
    return len(part) * part.reader.format.row_bytes


def _settings() -> DataContext:
    """Return settings for few, small and ordered blocks without console output."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it logs each execution
    settings = DataContext.get_current().copy()
    ahead = ExecutionResources.for_limits(object_store_memory=_AHEAD_BYTES)
    settings.execution_options = ExecutionOptions(ahead, preserve_order=True)
    settings.target_max_block_size = _BLOCK_BYTES
    settings.enable_progress_bars = False
    settings.print_on_execution_start = False
    return settings
