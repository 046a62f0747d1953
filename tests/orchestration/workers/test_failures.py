"""Why a worker group was lost, from what Ray says of its workers."""

import pytest
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError, RayTaskError

from l2rw_ray.errors import InfrastructureError, OutOfReachError
from l2rw_ray.orchestration.broker.failure_policy import Fault
from l2rw_ray.orchestration.workers.failures import classify_failure, describe_failure

KILLED = OutOfMemoryError("the node was running low on memory")
PEER = InfrastructureError("rank 0 lost the others: connection closed by gloo")
OUT_OF_REACH = OutOfReachError("bucket/train.parquet", "AWS Error NETWORK_CONNECTION")


def _raised(cause: Exception) -> BaseException:
    """What Ray hands out for an exception in an actor's method."""
    return RayTaskError("TrainWorker.train", "a traceback", cause).as_instanceof_cause()


@pytest.mark.parametrize(
    ("errors", "fault"),
    [
        ([ActorDiedError()], Fault.WORKER_LOST),
        ([_raised(PEER), ActorDiedError()], Fault.WORKER_LOST),
        ([KILLED], Fault.NODE_OUT_OF_MEMORY),
        ([_raised(PEER), KILLED], Fault.NODE_OUT_OF_MEMORY),
        ([_raised(OUT_OF_REACH)], Fault.DATA_OUT_OF_REACH),
        ([_raised(PEER), _raised(OUT_OF_REACH)], Fault.DATA_OUT_OF_REACH),
        ([], Fault.WORKER_LOST),
    ],
)
def test_reason(errors: list[Exception], fault: Fault) -> None:
    assert classify_failure(errors) is fault


def test_an_error_of_a_worker_is_told_without_rays_traceback() -> None:
    assert describe_failure(_raised(ValueError("no CUDA device\nis there"))) == "ValueError: no CUDA device"
    assert describe_failure(ValueError()) == "ValueError: no reason given"
    died = RayActorError("0", "The actor died.\n\tpid: 4711\nWorker exit detail: SIGSEGV")
    assert describe_failure(died) == "RayActorError: Worker exit detail: SIGSEGV"
