"""Sources of randomness of a trial, and the seed of each."""

from typing import Literal

RandomSource = Literal["split", "init", "order"]
"""`split`: the sets, and noise and imbalance that are made. `init`: initial weights. `order`: order of
batches, augmentation, dropout, and what the method draws."""
_ANOTHER = 2**64  # no seed of a study is as large


def seed_of(seed: int, source: RandomSource, redrawn: RandomSource | None) -> int:
    """Return the seed of a source's draws.

    Args:
        seed: The trial's seed.
        source: What is drawn.
        redrawn: The source that the trial draws anew; None for none.
    """
    return seed + _ANOTHER if source == redrawn else seed
