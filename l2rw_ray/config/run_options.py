"""Options of a run: resources, limits, checkpoints, what is kept. Only resources change results."""

from typing import Self

from pydantic import Field, model_validator

from l2rw_ray.config.section import Section, conflict

_TEN_YEARS_S = 10 * 365 * 24 * 3600
"""Longer limits overflow the watchdog's timer."""


class Limits(Section):
    """Limits of one trial. They change no result, so they do not count in fingerprints.

    A trial that exceeds one is recorded as failed and not retried.
    """

    duration_s: float | None = Field(default=None, gt=0, le=_TEN_YEARS_S)
    """Longest duration of one attempt of a trial, in seconds, from reading its data to its last metric; null
    for no limit. Ends a trial that hangs, and records its stacks."""
    memory_bytes: int | None = Field(default=None, gt=0)
    """Most resident memory of one worker process without shared pages, in bytes; null for no limit. A worker
    takes about half a gigabyte before it has any data; processes that it starts count, such as scripts and
    data loaders, GPU memory does not."""


class Resources(Section):
    """Resources of one trial."""

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
    """What is kept of each trial besides its metrics. Changes no result."""

    models: bool = False
    """Whether trained models are kept in the study folder, and mirrored to MLflow."""
    examples: bool = False
    """Whether evidence on each train label is kept in the study folder, for `l2rw-ray suspects`: weight,
    score and loss over the later half of training, and what the final model predicts. At its end a trial
    goes once more through its train set, and through the rows it was not trained on."""
    system_metrics: bool = False
    """Whether each epoch records the load of CPU, memory and GPU on rank 0's machine."""


class CheckpointPolicy(Section):
    """When a trial is saved (always at the end of an epoch), and how many checkpoints are kept.

    With both intervals, the first to elapse counts; with neither, a trial is saved only when it is stopped.
    Changes no result.
    """

    every_s: float | None = Field(default=2.0, ge=0)
    """Shortest time between two checkpoints, in seconds; 0 for every epoch, null for no such interval."""
    every_epochs: int | None = Field(default=None, ge=1)
    """Epochs from one checkpoint to the next; null for no such interval."""
    keep: int = Field(default=2, ge=1)
    """Number of checkpoints kept; if the last is damaged, the trial resumes from the one before."""
