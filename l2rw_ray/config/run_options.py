"""Options of a run: resources, limits, checkpoints, what is kept. Only resources change results."""

from typing import Self

from pydantic import Field, model_validator

from l2rw_ray.config.section import Section, conflict

_TEN_YEARS_S = 10 * 365 * 24 * 3600
"""More than any clock of a watchdog takes would be no limit."""


class Limits(Section):
    """Bounds of one trial; none of them changes a result, so none counts in a fingerprint.

    A trial that goes over one is a failed row and is not tried again by itself.
    """

    duration_s: float | None = Field(default=None, gt=0, le=_TEN_YEARS_S)
    """The longest that one attempt of a trial may take in its worker group, in seconds, from reading its data
    to its last figure; null for no limit. Ends a trial that hangs, and tells where."""
    memory_bytes: int | None = Field(default=None, gt=0)
    """The most resident memory that one worker process may hold, without what it shares, in bytes; null
    for no limit. A worker holds about half a gigabyte before it has any data; memory of GPUs does not
    count."""


class Resources(Section):
    """What one trial takes of the cluster."""

    workers: int = Field(default=1, ge=1)
    """Data-parallel workers per trial."""
    cpus_per_worker: int = Field(default=1, ge=1)
    """Cores, and torch threads, of each worker."""
    gpus_per_worker: float = Field(default=0.0, ge=0)
    """GPUs of each worker; below 1, several workers share one and timings are marked unusable."""

    @model_validator(mode="after")
    def _gpus_are_whole_or_shared(self) -> Self:
        if self.gpus_per_worker > 1 and self.gpus_per_worker % 1:
            raise conflict(
                "gpus_per_worker", self.gpus_per_worker, "more than one and not whole", "use a whole number"
            )
        return self


class Keep(Section):
    """What is kept of each trial besides its figures. Changes no trial."""

    models: bool = False
    """Whether trained models are kept in the study folder, and mirrored to MLflow."""
    system_metrics: bool = False
    """Whether each epoch tells how busy processor, memory and GPU were, on rank 0's machine."""


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
