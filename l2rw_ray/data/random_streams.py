"""Independent random number generators, one per purpose."""

import hashlib

import torch


def rng_for(seed: int, purpose: str, *counters: int) -> torch.Generator:
    """Return a generator that its arguments alone determine, on every machine and in every process.

    Args:
        seed: The trial's seed.
        purpose: What is drawn (`split`, `noise`, `order`, …); streams of two purposes are
            independent, so that changing one protocol leaves the draws of the others as they were.
            Without `/`, which separates the counters.
        counters: Position within the purpose, such as the epoch.

    Returns:
        A CPU generator, seeded with the first 64 bits of a SHA-256.
    """
    assert "/" not in purpose
    name = "/".join(map(str, (seed, purpose, *counters)))
    digest = hashlib.sha256(name.encode()).digest()
    generator = torch.Generator()
    generator.manual_seed(int.from_bytes(digest[:8], "big", signed=True))
    return generator
