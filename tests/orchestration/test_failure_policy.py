"""Only the infrastructure gets another chance."""

import pytest

from l2rw_ray.orchestration.failure_policy import (
    INFRASTRUCTURE,
    MAX_ATTEMPTS,
    Fault,
    GiveUp,
    Retry,
    after_fault,
)

OWN = GiveUp("ValueError: no")
LOST = GiveUp("InfrastructureError: the worker was lost 3 times while training this trial")
OUT_OF_MEMORY = GiveUp(
    f"{LOST.error}, the last time because its node ran out of memory; "
    "use smaller batches, or fewer trials at a time (--lanes)"
)
OUT_OF_REACH = GiveUp(
    f"{LOST.error}, the last time because its data could not be read; see to their store or the network"
)
TABLE = [
    (Fault.OWN_ERROR, (OWN, OWN, OWN)),
    (Fault.OVER_LIMIT, (OWN, OWN, OWN)),
    (Fault.WORKER_LOST, (Retry(2), Retry(3), LOST)),
    (Fault.NODE_OUT_OF_MEMORY, (Retry(2), Retry(3), OUT_OF_MEMORY)),
    (Fault.DATA_OUT_OF_REACH, (Retry(2), Retry(3), OUT_OF_REACH)),
]


@pytest.mark.parametrize(("fault", "decisions"), TABLE)
def test_decision_by_fault_and_attempt(fault: Fault, decisions: tuple[Retry | GiveUp, ...]) -> None:
    found = tuple(after_fault(fault, attempt, OWN.error) for attempt in range(1, MAX_ATTEMPTS + 1))
    assert found == decisions


def test_table_is_whole() -> None:
    assert [fault for fault, _ in TABLE] == list(Fault)
    assert {fault for fault, (first, *_) in TABLE if isinstance(first, Retry)} == INFRASTRUCTURE


def test_number_of_attempts_may_be_another() -> None:
    assert after_fault(Fault.WORKER_LOST, 1, max_attempts=1) == GiveUp(LOST.error.replace("3", "1"))
