"""Which estimators are tried, and in which order."""

from dataclasses import dataclass

from l2rw_ray.errors import InputError
from l2rw_ray.meta.alignment.ghost import Ghost
from l2rw_ray.meta.alignment.interface import Estimator
from l2rw_ray.meta.alignment.registry import ESTIMATORS, estimator_named

AUTO = "auto"


@dataclass(frozen=True)
class Candidate:
    """An estimator that may be used if its results pass.

    Attributes:
        name: The estimator's.
        estimator: What is tried.
        is_exact: Whether it claims to be.
        is_partial: Whether it looks at some parameters only, so that its error is stated and not limited.
        is_reference: Whether its scores are plain autograd's, which nothing needs to confirm.
    """

    name: str
    estimator: Estimator
    is_exact: bool = True
    is_partial: bool = False
    is_reference: bool = False


def candidates(estimator: str | Estimator, *, exact: bool = False) -> list[Candidate]:
    """Return what to try for the estimator that the user named, cheapest first.

    Args:
        estimator: A name, `auto`, or an object with the interface `Estimator`.
        exact: Whether `auto` leaves out estimators that are not exact.

    Raises:
        InputError: The name is unknown, or it is neither a name nor an estimator.
    """
    names = (AUTO, *ESTIMATORS.names())
    if not isinstance(estimator, str):
        if not callable(getattr(estimator, "score", None)):
            problem, remedy = "no estimator", f"use one of {', '.join(names)}"
            raise InputError("estimator", type(estimator).__name__, problem, remedy)
        return [Candidate(type(estimator).__name__, estimator)]
    ghosts = [Candidate("ghost", Ghost(joins=joins)) for joins in (True, False)]
    if estimator == "ghost":
        return ghosts
    if estimator not in names:
        raise InputError("estimator", estimator, "unknown", f"use one of {', '.join(names)}")
    if estimator != AUTO:
        return [_named(estimator)]
    differences = () if exact else ("finite_difference",)
    others = (*differences, "forward_mode", "second_order", "per_example")
    return [*ghosts, *map(_named, others)]


def _named(name: str) -> Candidate:
    return Candidate(
        name,
        estimator_named(name),
        is_exact=name not in ("finite_difference", "central_difference", "last_layer"),
        is_partial=name == "last_layer",
        is_reference=name == "per_example",
    )
