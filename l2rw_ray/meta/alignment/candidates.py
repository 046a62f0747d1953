"""Which estimators are tried, and in which order."""

from dataclasses import dataclass

from l2rw_ray.errors import InputError
from l2rw_ray.meta.alignment.finite_difference import FiniteDifference
from l2rw_ray.meta.alignment.forward_mode import ForwardMode
from l2rw_ray.meta.alignment.ghost import Ghost
from l2rw_ray.meta.alignment.interface import Estimator
from l2rw_ray.meta.alignment.per_example import PerExample
from l2rw_ray.meta.alignment.registry import ESTIMATORS, estimator_named
from l2rw_ray.meta.alignment.second_order import SecondOrder

AUTO = "auto"


@dataclass(frozen=True)
class Candidate:
    """An estimator that may be used if its results pass.

    Attributes:
        name: The estimator's.
        estimator: What is tried.
        is_exact: Whether it claims to be.
    """

    name: str
    estimator: Estimator
    is_exact: bool = True


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
        return [Candidate(estimator, estimator_named(estimator), estimator not in _APPROXIMATE)]
    differences = [] if exact else [Candidate("finite_difference", FiniteDifference(), is_exact=False)]
    return [
        *ghosts,
        *differences,
        Candidate("forward_mode", ForwardMode()),
        Candidate("second_order", SecondOrder()),
        Candidate("per_example", PerExample()),
    ]


_APPROXIMATE = ("finite_difference", "central_difference", "last_layer")
