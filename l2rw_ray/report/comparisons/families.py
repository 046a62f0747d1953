"""One error rate for all that a report prints in bold: the finding, averages, settings, interactions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np

from l2rw_ray.report.comparisons.evidence import Evidence
from l2rw_ray.statistics import Difference
from l2rw_ray.statistics.gatekeeping import graphical_p_values


class Tested(Protocol):
    """A difference with its evidence: a comparison or an interaction."""

    @property
    def treatment(self) -> str:
        """Name of the level that is compared."""

    @property
    def difference(self) -> Difference:
        """The difference."""

    @property
    def evidence(self) -> Evidence | None:
        """Its evidence."""


A = TypeVar("A", bound=Tested)
B = TypeVar("B", bound=Tested)
C = TypeVar("C", bound=Tested)


def gated(
    averages: Sequence[A],
    settings: Sequence[B],
    interactions: Sequence[C],
    *,
    has_primary: bool,
    multiplicity: float = 1.0,
) -> tuple[tuple[A, ...], tuple[B, ...], tuple[C, ...]]:
    """Return all differences of a report with p values that share one error rate.

    The level starts at the primary average, or is divided evenly over all averages. One that is shown passes
    it on, half to the other averages and half to its own settings; those pass it to each other and to the
    interactions of the same treatment. So the probability of any wrong claim in the whole report is at most
    the level. A setting that is the whole average is the same test.

    Args:
        averages: Differences averaged over settings, the primary first.
        settings: Differences at single settings, and at equal training time.
        interactions: How the differences change with other factors.
        has_primary: Whether the first average is tested before the others.
        multiplicity: Factor of all p values for looks at unfinished results.
    """
    same = {
        place: own for place, each in enumerate(settings) if (own := _average_of(each, averages)) is not None
    }
    kept = [each for place, each in enumerate(settings) if place not in same]
    nodes: list[Any] = [*averages, *kept, *interactions]
    p_values = [None if (p := each.evidence.p) is None else min(1.0, multiplicity * p) for each in nodes]
    weights = np.zeros(len(nodes))
    first = min(1, len(averages)) if has_primary else len(averages)
    weights[:first] = 1 / max(first, 1)
    arrows = _arrows(averages, kept, interactions)
    corrected = graphical_p_values(p_values, weights.tolist(), arrows)
    tested = sum(p is not None for p in p_values)
    families = [first] * first + [len(averages)] * (len(averages) - first)
    families += [tested] * (len(nodes) - len(averages))
    found = [
        replace(each, evidence=replace(each.evidence, p_corrected=p, family=family))
        for each, p, family in zip(nodes, corrected, families, strict=True)
    ]
    end = len(averages) + len(kept)
    remaining = iter(found[len(averages) : end])
    all_settings = (
        replace(each, evidence=found[same[place]].evidence) if place in same else next(remaining)  # type: ignore[type-var]
        for place, each in enumerate(settings)
    )
    return tuple(found[: len(averages)]), tuple(all_settings), tuple(found[end:])


def _average_of(setting: Tested, averages: Sequence[Tested]) -> int | None:
    """Return the place of the average that has only this setting; None if there is none."""
    values = setting.difference.values, setting.difference.ranked
    for place, each in enumerate(averages):
        if each.treatment == setting.treatment and values == (each.difference.values, each.difference.ranked):
            return place
    return None


def _arrows(
    averages: Sequence[Tested], settings: Sequence[Tested], interactions: Sequence[Tested]
) -> np.ndarray:
    """Return what each hypothesis passes on to each other."""
    nodes = [*averages, *settings, *interactions]
    arrows = np.zeros((len(nodes), len(nodes)))
    of = np.repeat([0, 1, 2], [len(averages), len(settings), len(interactions)])
    names = np.array([each.treatment for each in nodes], dtype=object)
    for place, each in enumerate(nodes):
        own = names == each.treatment
        rest = np.arange(len(nodes)) != place
        if of[place] == 0:
            others = (of == 0) & rest
            below = own & (of == 1) if (own & (of == 1)).any() else own & (of == 2)
        else:
            others = own & (of == of[place]) & rest
            below = own & (of == 2) if of[place] == 1 else np.zeros(len(nodes), dtype=bool)
        halves = [targets for targets in (others, below) if targets.any()]
        for targets in halves:
            arrows[place, targets] += 1 / len(halves) / targets.sum()
    return arrows
