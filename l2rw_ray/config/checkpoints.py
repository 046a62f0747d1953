"""The `checkpoints` section: how much of a trial's training may be lost with its worker."""

from pydantic import Field

from l2rw_ray.config.section import Section


class CheckpointPolicy(Section):
    """When a trial is saved, always at the end of an epoch, and how many checkpoints it keeps.

    Where both intervals are given, whichever is over first counts; where neither is, a trial is saved only
    when it is told to stop. Changes no result.
    """

    every_s: float | None = Field(default=2.0, ge=0)
    """Shortest time between two checkpoints, in seconds; 0 for every epoch, null for no such interval."""
    every_epochs: int | None = Field(default=None, ge=1)
    """Epochs from one checkpoint to the next; null for no such interval."""
    keep: int = Field(default=2, ge=1)
    """Last checkpoints that a trial keeps: where one is damaged, it goes on from the one before."""
