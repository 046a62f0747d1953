"""What to do with a trial whose worker was lost; pure, so that it is tested without a cluster."""

from dataclasses import dataclass

MAX_ATTEMPTS = 3
"""Tries of a trial before the infrastructure is given up on."""


@dataclass(frozen=True)
class Retry:
    """Lease the trial again, from its checkpoint."""

    attempt: int


@dataclass(frozen=True)
class GiveUp:
    """Record the trial as failed."""

    error: str


def after_worker_loss(attempt: int, max_attempts: int = MAX_ATTEMPTS) -> Retry | GiveUp:
    """Decide about a trial that was under way when its worker, lane or node was lost.

    An exception of the trial's own never comes here: it would only happen again.

    Args:
        attempt: The try that was lost, from 1.
        max_attempts: Tries a trial is given.
    """
    if attempt < max_attempts:
        return Retry(attempt + 1)
    return GiveUp(f"InfrastructureError: the worker was lost {attempt} times while training this trial")
