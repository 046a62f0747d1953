"""Why a worker group was lost, from what Ray says of its ranks."""

import pytest
import ray.exceptions
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from l2rw_ray.errors import InfrastructureError, OutOfReachError
from l2rw_ray.orchestration.broker.failure_policy import Fault
from l2rw_ray.orchestration.workers.failure_callback import classify_failure

KILLED = ray.exceptions.OutOfMemoryError("the node was running low on memory")
PEER = InfrastructureError("rank 0 lost the others: connection closed by gloo")
OUT_OF_REACH = OutOfReachError("bucket/train.parquet", "AWS Error NETWORK_CONNECTION")


def _unhealthy(error: Exception) -> Exception:
    return WorkerHealthCheckFailedError("a worker died", error)


@pytest.mark.parametrize(
    ("errors", "fault"),
    [
        ([_unhealthy(ray.exceptions.ActorDiedError())], Fault.WORKER_LOST),
        ([PEER, _unhealthy(ray.exceptions.ActorDiedError())], Fault.WORKER_LOST),
        ([_unhealthy(KILLED)], Fault.NODE_OUT_OF_MEMORY),
        ([PEER, _unhealthy(KILLED)], Fault.NODE_OUT_OF_MEMORY),
        ([KILLED], Fault.NODE_OUT_OF_MEMORY),
        ([ControllerError(KILLED)], Fault.NODE_OUT_OF_MEMORY),
        ([ControllerError(TimeoutError())], Fault.WORKER_LOST),
        ([WorkerGroupError("lost", {0: PEER, 1: _unhealthy(KILLED)})], Fault.NODE_OUT_OF_MEMORY),
        ([OUT_OF_REACH], Fault.DATA_OUT_OF_REACH),
        ([PEER, OUT_OF_REACH], Fault.DATA_OUT_OF_REACH),
        ([WorkerGroupError("lost", {0: OUT_OF_REACH, 1: PEER})], Fault.DATA_OUT_OF_REACH),
        ([], Fault.WORKER_LOST),
    ],
)
def test_reason(errors: list[Exception], fault: Fault) -> None:
    assert classify_failure(errors) is fault
