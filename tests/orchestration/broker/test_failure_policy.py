"""Only the infrastructure gives another chance, as long as a trial gets further or has not tried often."""

import pytest

from l2rw_ray.orchestration.broker.failure_policy import (
    INFRASTRUCTURE,
    MAX_ATTEMPTS_WITHOUT_PROGRESS,
    Fault,
    failure_reason,
)

OWN = "ValueError: no"
VAIN = f"InfrastructureError: {MAX_ATTEMPTS_WITHOUT_PROGRESS} attempts without progress, the last: "
TABLE = {
    Fault.OWN_ERROR: OWN,
    Fault.OVER_LIMIT: OWN,
    Fault.WORKER_LOST: f"{VAIN}its worker, worker group or node was lost; "
    "see that it does not end its process itself, and needs no more memory than there is",
    Fault.NODE_OUT_OF_MEMORY: f"{VAIN}Ray ended its worker because the node ran out of memory; "
    "use smaller batches, or fewer trials at a time (--max-concurrent-trials)",
    Fault.DATA_OUT_OF_REACH: f"{VAIN}its data could not be read for the moment; "
    "see to their store or the network",
}


@pytest.mark.parametrize("fault", Fault)
def test_reason_by_fault(fault: Fault) -> None:
    found = [
        failure_reason(fault, attempts_without_progress, OWN)
        for attempts_without_progress in range(MAX_ATTEMPTS_WITHOUT_PROGRESS + 1)
    ]
    patient = fault in INFRASTRUCTURE
    assert found == [None if patient else OWN] * MAX_ATTEMPTS_WITHOUT_PROGRESS + [TABLE[fault]]


def test_what_is_of_the_infrastructure() -> None:
    assert {Fault.WORKER_LOST, Fault.NODE_OUT_OF_MEMORY, Fault.DATA_OUT_OF_REACH} == INFRASTRUCTURE
