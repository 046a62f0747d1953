"""Decide whether a trial whose attempt was cut short is retried; pure, so it is tested without a cluster."""

from enum import StrEnum


class Fault(StrEnum):
    """What cut an attempt short."""

    OWN_ERROR = "exception in the trial"
    OVER_LIMIT = "limit exceeded"
    WORKER_LOST = "worker lost"
    NODE_OUT_OF_MEMORY = "worker killed because its node ran out of memory"
    DATA_OUT_OF_REACH = "data out of reach"


INFRASTRUCTURE = frozenset({Fault.WORKER_LOST, Fault.NODE_OUT_OF_MEMORY, Fault.DATA_OUT_OF_REACH})
"""Faults that need not recur when the trial is retried."""
MAX_ATTEMPTS_WITHOUT_PROGRESS = 5
"""Consecutive attempts without a new epoch after which the trial fails. Spot nodes can take three."""

_REMEDIES = {
    Fault.WORKER_LOST: "check that the trial does not exit the process and fits into memory",
    Fault.NODE_OUT_OF_MEMORY: "use smaller batches, or fewer trials at a time (--max-concurrent-trials)",
    Fault.DATA_OUT_OF_REACH: "check the data's store and the network",
}


def failure_reason(fault: Fault, attempts_without_progress: int, error: str = "") -> str | None:
    """Decide whether a trial whose attempt was cut short fails or is retried.

    Only infrastructure failures are retried: a trial's own error would happen again.

    Args:
        fault: What cut the attempt short.
        attempts_without_progress: Consecutive attempts, this one included, without a new epoch.
        error: The trial's own error, in one line.

    Returns:
        The error to record; None when the trial is retried from its checkpoint.
    """
    if fault not in INFRASTRUCTURE:
        return error
    if attempts_without_progress < MAX_ATTEMPTS_WITHOUT_PROGRESS:
        return None
    return (
        f"InfrastructureError: {attempts_without_progress} attempts without progress, the last: {fault}; "
        + _REMEDIES[fault]
    )
