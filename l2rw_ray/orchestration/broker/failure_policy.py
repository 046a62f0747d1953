"""What to do with a trial that did not end by itself; pure, so that it is tested without a cluster."""

from enum import StrEnum


class Fault(StrEnum):
    """What ended an attempt before its time."""

    OWN_ERROR = "an exception of the trial's own"
    OVER_LIMIT = "more time or memory than the study's limits allow"
    WORKER_LOST = "its worker, worker group or node was lost"
    NODE_OUT_OF_MEMORY = "Ray ended its worker because the node ran out of memory"
    DATA_OUT_OF_REACH = "its data could not be read for the moment"


INFRASTRUCTURE = frozenset({Fault.WORKER_LOST, Fault.NODE_OUT_OF_MEMORY, Fault.DATA_OUT_OF_REACH})
"""Faults that the trial itself need not meet again."""
MAX_ATTEMPTS_WITHOUT_PROGRESS = 5
"""Attempts in a row, each ended by any of these and none an epoch further, that end the trial: who loses
nodes now and then may well lose three under one trial."""

_REMEDIES = {
    Fault.WORKER_LOST: "see that it does not end its process itself, and needs no more memory than there is",
    Fault.NODE_OUT_OF_MEMORY: "use smaller batches, or fewer trials at a time (--max-concurrent-trials)",
    Fault.DATA_OUT_OF_REACH: "see to their store or the network",
}


def failure_reason(fault: Fault, attempts_without_progress: int, error: str = "") -> str | None:
    """Decide about a trial whose attempt ended before its time.

    Only the infrastructure gives another chance: what a trial did by itself would happen again.

    Args:
        fault: What ended the attempt.
        attempts_without_progress: Consecutive attempts, this one included, without a new epoch.
        error: What to record of a trial that ended itself, in one line.

    Returns:
        What to record of it; None where it is leased again, to go on from its checkpoint.
    """
    if fault not in INFRASTRUCTURE:
        return error
    if attempts_without_progress < MAX_ATTEMPTS_WITHOUT_PROGRESS:
        return None
    return (
        f"InfrastructureError: {attempts_without_progress} attempts without progress, the last: {fault}; "
        f"{_REMEDIES[fault]}"
    )
