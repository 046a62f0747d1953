"""Functions run by several gloo ranks, each a process of its own."""

import multiprocessing
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as torch_multiprocessing

_PATIENCE = timedelta(minutes=2)
"""For ranks that part ways."""


def run_on_ranks(function: Callable[..., Any], world_size: int, folder: Path, *arguments: Any) -> Any:
    """Call a function on every rank of a process group.

    The ranks are forked from a server that has imported torch once: importing takes longer than most of
    what they do.

    Args:
        function: Called with the rank, the number of ranks, and the arguments.
        world_size: Number of ranks.
        folder: An empty folder for the rendezvous and the result.
        *arguments: Further arguments.

    Returns:
        What the function returns on rank 0.
    """
    multiprocessing.set_forkserver_preload(["l2rw_ray.data", "l2rw_ray.training", "torch._dynamo"])
    torch_multiprocessing.start_processes(
        _run,
        (function, world_size, str(folder), *arguments),
        nprocs=world_size,
        start_method="forkserver",
    )
    return torch.load(folder / "found.pt")


def _run(rank: int, function: Callable[..., Any], world_size: int, folder: str, *arguments: Any) -> None:
    torch.set_num_threads(1)
    rendezvous = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", rendezvous, _PATIENCE, world_size=world_size, rank=rank)
    found = function(rank, world_size, *arguments)
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # gloo's threads may still drop tensors while the interpreter is torn down
