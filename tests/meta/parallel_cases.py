"""What each of two gloo ranks runs; rank 0 writes what it found for the test to judge."""

import copy
import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from l2rw_ray.errors import NonFiniteError
from l2rw_ray.meta import ReweightedStep
from tests.meta.networks import LOSS, batch, make_case

STEPS = 6
SIZES = [(4, 4), (5, 3), (2, 6)]
"""Examples of a global batch of eight on each rank."""


def data() -> tuple[list, tuple]:
    """Global batches with their indices, and one meta batch of five: shards of three and two."""
    torch.manual_seed(1)
    batches = [(*batch(8), torch.randperm(12)[:8]) for _ in range(STEPS)]
    return batches, batch(5)


def train(model, batches, meta, update_every: int, share: slice, meta_share: slice):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    step = ReweightedStep(model, optimizer, LOSS, update_every=update_every)
    meta_part = (meta[0][meta_share], meta[1][meta_share])
    results = []
    for x, y, index in batches:
        results.append(step((x[share], y[share]), meta_part, index[share]))
    return results


def run_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    batches, meta = data()
    found = {}
    for sizes in SIZES:
        for update_every in (1, 3):
            model = DistributedDataParallel(copy.deepcopy(make_case("lenet").network))
            share = slice(0, sizes[0]) if rank == 0 else slice(sizes[0], 8)
            meta_share = slice(0, 3) if rank == 0 else slice(3, 5)
            calls = _count_all_reduces() if sizes == (5, 3) else []
            results = train(model, batches, meta, update_every, share, meta_share)
            weights = [None, None]
            dist.all_gather_object(weights, [result.weights for result in results])
            found[sizes, update_every] = {
                "parameters": [parameter.detach() for parameter in model.module.parameters()],
                "weights": [torch.cat(parts) for parts in zip(*weights, strict=True)],
                "all_reduces": len(calls),
            }
    found["nan"] = _nan_on_one_rank(rank, batches, meta)
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    dist.barrier()
    dist.destroy_process_group()
    # Gloo's threads may still drop tensors while the interpreter is torn down, and abort the process.
    os._exit(0)


def _count_all_reduces() -> list:
    calls, original = [], dist.all_reduce

    def counted(tensor, *arguments, **options):
        calls.append(tensor.shape)
        return original(tensor, *arguments, **options)

    dist.all_reduce = counted
    return calls


def _nan_on_one_rank(rank: int, batches, meta) -> list[str]:
    """The error that each rank sees when the inputs of one of them are broken."""
    model = DistributedDataParallel(make_case("mlp").network)
    step = ReweightedStep(model, torch.optim.SGD(model.parameters(), lr=0.1), LOSS)
    x, y, _ = batches[0]
    x = torch.full_like(x, torch.nan) if rank == 1 else x
    try:
        step((x, y), meta)
        error = "none"
    except NonFiniteError as raised:
        error = str(raised)
    errors = ["", ""]
    dist.all_gather_object(errors, error)
    return errors
