"""Only infrastructure failures are retried, while a trial makes progress or has had few attempts."""

import pytest

from l2rw_ray.orchestration.broker.failure_policy import (
    INFRASTRUCTURE,
    MAX_ATTEMPTS_WITHOUT_PROGRESS,
    Fault,
    failure_reason,
)

OWN = "ValueError: no"
GIVEN_UP = f"InfrastructureError: {MAX_ATTEMPTS_WITHOUT_PROGRESS} attempts without progress, the last: "
TABLE = {
    Fault.OWN_ERROR: OWN,
    Fault.OVER_LIMIT: OWN,
    Fault.WORKER_LOST: f"{GIVEN_UP}worker lost; "
    "check that the trial does not exit the process and fits into memory",
    Fault.NODE_OUT_OF_MEMORY: f"{GIVEN_UP}worker killed because its node ran out of memory; "
    "use smaller batches, or fewer trials at a time (--max-concurrent-trials)",
    Fault.DATA_OUT_OF_REACH: f"{GIVEN_UP}data out of reach; check the data's store and the network",
}


@pytest.mark.parametrize("fault", Fault)
def test_reason_by_fault(fault: Fault) -> None:
    found = [
        failure_reason(fault, attempts_without_progress, OWN)
        for attempts_without_progress in range(MAX_ATTEMPTS_WITHOUT_PROGRESS + 1)
    ]
    is_retried = fault in INFRASTRUCTURE
    assert found == [None if is_retried else OWN] * MAX_ATTEMPTS_WITHOUT_PROGRESS + [TABLE[fault]]


def test_infrastructure_faults() -> None:
    assert {Fault.WORKER_LOST, Fault.NODE_OUT_OF_MEMORY, Fault.DATA_OUT_OF_REACH} == INFRASTRUCTURE
