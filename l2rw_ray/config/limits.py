"""What a trial may take before it is given up."""

from pydantic import Field

from l2rw_ray.config.section import Section

_TEN_YEARS_S = 10 * 365 * 24 * 3600
"""More than any clock of a watchdog takes would be no limit."""


class Limits(Section):
    """Bounds of one trial; none of them changes a result, so none counts in a fingerprint.

    A trial that goes over one is a failed row and is not tried again by itself.
    """

    duration_s: float | None = Field(default=None, gt=0, le=_TEN_YEARS_S)
    """The longest that one attempt of a trial may take in its lane, in seconds, from reading its data to
    its last figure; None for no limit. Ends a trial that hangs, and tells where."""
    memory_bytes: int | None = Field(default=None, gt=0)
    """The most resident memory that one worker process may hold, without what it shares, in bytes; None
    for no limit. A worker holds about half a gigabyte before it has any data; memory of GPUs does not
    count."""
