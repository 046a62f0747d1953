"""Tell the broker why a worker group lost its workers, as Ray Train sees it."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import ray
import ray.train

from l2rw_ray.errors import OutOfReachError
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.orchestration.broker.failure_policy import Fault

_TIMEOUT_S = 10.0


def classify_failure(errors: Iterable[BaseException]) -> Fault:
    """Classify why a worker group ended.

    Ray reports when its memory monitor killed a worker, and a worker when its data are out of reach. For a
    worker that the kernel killed, the reason is unknown.

    Args:
        errors: Ray Train's errors, of single ranks or of the whole group.
    """
    causes = [cause for error in errors for cause in _causes(error)]
    if any(isinstance(cause, ray.exceptions.OutOfMemoryError) for cause in causes):
        return Fault.NODE_OUT_OF_MEMORY
    if any(isinstance(cause, OutOfReachError) for cause in causes):
        return Fault.DATA_OUT_OF_REACH
    return Fault.WORKER_LOST


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that Ray Train has wrapped in it."""
    yield error
    inner = [getattr(error, name, None) for name in ("health_check_failure", "controller_failure")]
    for cause in [*inner, *getattr(error, "worker_failures", {}).values()]:
        if isinstance(cause, BaseException):
            yield from _causes(cause)


class FailureCallback(ray.train.UserCallback):  # type: ignore[misc]  # ray is not typed
    """Reports lost workers to the broker from Ray Train's controller, before it starts new ones.

    Args:
        broker: Receives the report.
        group: Name of the worker group.
    """

    def __init__(self, broker: BrokerClient, group: str) -> None:
        self._broker, self._group = broker, group

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Report why the workers were lost; Ray Train calls this in its controller."""
        fault = classify_failure(worker_exceptions.values())
        with suppress(ray.exceptions.RayError):  # without its broker the run ends and reports it
            self._broker.note_loss(self._group, fault, timeout_s=_TIMEOUT_S)
