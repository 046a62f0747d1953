"""Only the infrastructure gives another chance, as long as a trial gets further or has not tried often."""

import pytest

from l2rw_ray.orchestration.failure_policy import INFRASTRUCTURE, Fault, reason_to_give_up

OWN = "ValueError: no"
TABLE = [
    (Fault.OWN_ERROR, 1, OWN),
    (Fault.OVER_LIMIT, 1, OWN),
    (Fault.WORKER_LOST, 5, "lost 5 times without progress: it may end its process itself"),
    (Fault.NODE_OUT_OF_MEMORY, 3, "lost 3 times without progress: the last time because its node ran out of"),
    (Fault.DATA_OUT_OF_REACH, 5, "lost 5 times without progress: the last time because its data could not"),
]


@pytest.mark.parametrize(("fault", "most", "reason"), TABLE)
def test_attempts_in_vain_by_fault(fault: Fault, most: int, reason: str) -> None:
    found = [reason_to_give_up(fault, in_vain, OWN) for in_vain in range(most + 1)]
    if fault in INFRASTRUCTURE:
        assert found[:-1] == [None] * most
        assert (found[-1] or "").startswith("InfrastructureError: its worker was ")
    assert reason in (found[-1] or "")


def test_table_is_whole() -> None:
    assert [fault for fault, _, _ in TABLE] == list(Fault)
    assert {fault for fault in Fault if reason_to_give_up(fault, 1, OWN) is None} == INFRASTRUCTURE
