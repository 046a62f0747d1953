"""Why a worker group lost its workers, as Ray Train sees it, brought to the broker."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import ray
import ray.train

from l2rw_ray.errors import OutOfReachError
from l2rw_ray.orchestration.broker.failure_policy import Fault

_WITHIN_S = 10.0


def classify_failure(errors: Iterable[BaseException]) -> Fault:
    """What ended a worker group, from what Ray Train has of its ranks, or of the group as a whole.

    Ray tells when its own memory monitor ended a worker, and a worker when its data are out of reach. Of one
    that the kernel killed nobody knows why.
    """
    causes = [cause for error in errors for cause in _causes(error)]
    if any(isinstance(cause, ray.exceptions.OutOfMemoryError) for cause in causes):
        return Fault.NODE_OUT_OF_MEMORY
    if any(isinstance(cause, OutOfReachError) for cause in causes):
        return Fault.DATA_OUT_OF_REACH
    return Fault.WORKER_LOST


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what Ray Train has wrapped in it."""
    yield error
    inner = [getattr(error, name, None) for name in ("health_check_failure", "controller_failure")]
    for cause in [*inner, *getattr(error, "worker_failures", {}).values()]:
        if isinstance(cause, BaseException):
            yield from _causes(cause)


class FailureCallback(ray.train.UserCallback):  # type: ignore[misc]  # ray is not typed
    """Tells the broker of a loss, in Ray Train's controller, before other workers take the place.

    Args:
        broker: Handle of the broker actor.
        worker group: The worker group's name there.
    """

    def __init__(self, broker: Any, group: str) -> None:
        self._broker, self._group = broker, group

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """See `ray.train.UserCallback`."""
        told = self._broker.note_loss.remote(self._group, classify_failure(worker_exceptions.values()))
        with suppress(ray.exceptions.RayError):  # without its broker the run ends, and says so
            ray.get(told, timeout=_WITHIN_S)
