"""One pass over some examples of a set, each once, in memory or streamed."""

from collections.abc import Generator
from contextlib import closing

from torch import Tensor

from l2rw_ray.data.examples import ExampleSet
from l2rw_ray.data.streaming.parts import ReadParts, read_here
from l2rw_ray.data.streaming.streamed_inputs import streamed_inputs
from l2rw_ray.trees import Tree, map_tensors

_BATCH = 512


def whole_pass(
    examples: ExampleSet, index_K: Tensor, read_parts: ReadParts = read_here
) -> Generator[tuple[Tensor, Tree]]:
    """Yield positions, int64 [B], and inputs as decoded, [B, …], until every example came once.

    Those of a streamed set come in the order that its files are read in, others in the order given.

    Args:
        examples: The set.
        index_K: Positions in the set, each once, int64, on the CPU.
        read_parts: Reads the rows of a streamed set.

    Raises:
        DataError, OutOfReachError: Inputs are read from files, and cannot be.
    """
    device, stored = examples.labels.device, examples.stored
    if stored is None or not examples.is_streamed:
        for index_B in index_K.split(_BATCH):
            yield index_B, examples.inputs_of(index_B.to(device))
        return
    if not len(index_K):
        return
    rows_K = examples.rows.cpu()[index_K]
    arrival_K = stored.arrival(rows_K, seed=0, epoch=0)
    shares = arrival_K.split(_BATCH)
    with closing(streamed_inputs(stored, rows_K, arrival_K, shares, read_parts)) as inputs:
        for share, x in zip(shares, inputs, strict=True):
            yield index_K[share], map_tensors(x, lambda tensor: tensor.to(device))
