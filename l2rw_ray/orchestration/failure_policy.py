"""What to do with a trial that did not end by itself; pure, so that it is tested without a cluster."""

from dataclasses import dataclass
from enum import StrEnum

MAX_ATTEMPTS = 3
"""Tries of a trial before the infrastructure is given up on."""


class Fault(StrEnum):
    """What ended an attempt before its time."""

    OWN_ERROR = "an exception of the trial's own"
    OVER_LIMIT = "more time or memory than the study's limits allow"
    WORKER_LOST = "its worker, lane or node was lost"
    NODE_OUT_OF_MEMORY = "Ray ended its worker because the node ran out of memory"
    DATA_OUT_OF_REACH = "its data could not be read for the moment"


INFRASTRUCTURE = frozenset({Fault.WORKER_LOST, Fault.NODE_OUT_OF_MEMORY, Fault.DATA_OUT_OF_REACH})
"""Faults that the trial itself need not meet again."""

_LIKELY = {
    Fault.NODE_OUT_OF_MEMORY: ", the last time because its node ran out of memory; "
    "use smaller batches, or fewer trials at a time (--lanes)",
    Fault.DATA_OUT_OF_REACH: ", the last time because its data could not be read; "
    "see to their store or the network",
}


@dataclass(frozen=True)
class Retry:
    """Lease the trial again, from its checkpoint."""

    attempt: int


@dataclass(frozen=True)
class GiveUp:
    """Record the trial as failed."""

    error: str


def after_fault(
    fault: Fault, attempt: int, error: str = "", max_attempts: int = MAX_ATTEMPTS
) -> Retry | GiveUp:
    """Decide about a trial whose attempt ended before its time.

    Only the infrastructure gets another chance: what a trial did by itself would happen again.

    Args:
        fault: What ended it.
        attempt: The try that it ended, from 1.
        error: What to record of a trial that ended itself, in one line.
        max_attempts: Tries a trial is given.
    """
    if fault not in INFRASTRUCTURE:
        return GiveUp(error)
    if attempt < max_attempts:
        return Retry(attempt + 1)
    lost = f"InfrastructureError: the worker was lost {attempt} times while training this trial"
    return GiveUp(lost + _LIKELY.get(fault, ""))
