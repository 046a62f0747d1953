"""What each gloo rank trains by each of the loops."""

import os
from dataclasses import replace
from pathlib import Path

from tests.loops.five_loops import LOOPS
from tests.loops.tiny import Setting, Trained


def train_on_rank(
    rank: int, world_size: int, settings: list[Setting], folder: str
) -> dict[tuple[str, int], Trained]:
    """Train by each loop in each setting, by name and number."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "0",  # the process group is up
    }
    return {
        (loop.__name__, number): loop(replace(setting, rank=rank, world_size=world_size), Path(folder))
        for number, setting in enumerate(settings)
        for loop in LOOPS
    }
