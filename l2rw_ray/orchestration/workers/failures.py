"""Classify why a worker group lost its workers, and put it into one line."""

from collections.abc import Iterable, Iterator

import ray

from l2rw_ray.errors import OutOfReachError
from l2rw_ray.orchestration.broker.failure_policy import Fault


def classify_failure(errors: Iterable[BaseException]) -> Fault:
    """Classify why a worker group ended.

    Ray reports when its memory monitor killed a worker, and a worker when its data are out of reach. For a
    worker that the kernel killed, the reason is unknown.

    Args:
        errors: What Ray says of the workers that ended; several may be consequences of one.
    """
    causes = [cause for error in errors for cause in _causes(error)]
    if any(isinstance(cause, ray.exceptions.OutOfMemoryError) for cause in causes):
        return Fault.NODE_OUT_OF_MEMORY
    if any(isinstance(cause, OutOfReachError) for cause in causes):
        return Fault.DATA_OUT_OF_REACH
    return Fault.WORKER_LOST


def describe_failure(error: BaseException) -> str:
    """Return an error in one line: that of a worker by its own type, without Ray's traceback."""
    *_, cause = _causes(error)
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()] or ["no reason given"]
    is_of_process = isinstance(cause, ray.exceptions.RayActorError)  # which says why at its end
    return f"{type(cause).__name__}: {lines[-1 if is_of_process else 0]}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and that which Ray has wrapped in it."""
    yield error
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException) and cause is not error:
        yield from _causes(cause)
