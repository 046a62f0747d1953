"""Minimum effective level: the levels shown to be no worse than the best by more than a margin."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from l2rw_ray.statistics.comparisons import paired_difference
from l2rw_ray.statistics.intervals import is_constant

_FEWEST = 2
_GROWTH = 1.5
"""Ratio of the numbers of seeds at successive looks; fewer looks need a smaller correction."""


class Verdict(StrEnum):
    """What has been shown about a level."""

    ENOUGH = "enough"
    WORSE = "worse"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LevelVerdict:
    """One level against its strongest rival.

    Attributes:
        verdict: Whether it is shown not to be worse than the best by more than the margin, shown to be
            worse by more, or neither; unknown with fewer than two values.
        rival: Position of the level that it may fall behind most; None if no other level has values.
        shortfall_low: Lower confidence limit of how far it falls behind the rival; NaN if unknown.
        shortfall_high: Upper confidence limit; NaN if unknown.
    """

    verdict: Verdict
    rival: int | None
    shortfall_low: float
    shortfall_high: float


@dataclass(frozen=True, slots=True)
class EffectiveLevel:
    """The cheapest level that is enough, as far as it is known.

    Attributes:
        answer: Its position, None while none is shown to be enough.
        is_settled: Whether all cheaper levels are shown to be worse.
        undecided: Positions of the levels on which the answer still depends.
        levels: Verdict on each level, in the order of the values.
    """

    answer: int | None
    is_settled: bool
    undecided: tuple[int, ...]
    levels: tuple[LevelVerdict, ...]


def look_sizes(first: int, most: int) -> tuple[int, ...]:
    """Return the numbers of seeds at which the values are examined: `first` to `most`, growing by half."""
    sizes = [first]
    while sizes[-1] < most:
        sizes.append(min(math.ceil(_GROWTH * sizes[-1]), most))
    return tuple(sizes)


def effective_level(
    values: Sequence[Mapping[int, float]],
    margin: float,
    *,
    alpha: float,
    looks: int,
    cheapest_first: bool = True,
    more_is_better: bool = True,
) -> EffectiveLevel:
    """Judge levels by their values at equal seeds.

    A level is enough if, against every other level, the upper limit of the mean paired difference is at most
    the margin: an intersection-union test, so rivals need no correction. It is worse if some lower limit is
    above the margin. A level with fewer than two values is neither rival
    nor answer. Differences that are the same at every seed show no variation to judge by and leave a level
    open, unless all of them are exactly zero.

    Limits are one-sided t limits at `alpha` divided evenly over levels and looks (Bonferroni), so that the
    probability of calling any level enough that is not, at any look, is at most `alpha`, provided that each
    look uses the planned number of seeds. The verdict "worse" has no such guarantee. The limits assume
    differences that are independent between seeds and roughly normal, and capture the variation between
    seeds only.

    Args:
        values: Value by seed of each level, levels in order of their cost.
        margin: Largest acceptable shortfall, in the unit of the values.
        alpha: Probability of a wrong answer.
        looks: Number of looks planned while seeds are added.
        cheapest_first: Whether the first level is the cheapest; otherwise the last is.
        more_is_better: Whether larger values are better.
    """
    sign = 1 if more_is_better else -1
    signed = [{seed: sign * value for seed, value in level.items()} for level in values]
    confidence = 1 - 2 * alpha / (len(values) * looks)  # of a two-sided interval with these limits
    levels = tuple(_judge(place, signed, margin, confidence) for place in range(len(signed)))
    cheapest = list(range(len(levels)))
    if not cheapest_first:
        cheapest.reverse()
    enough = [place for place in cheapest if levels[place].verdict is Verdict.ENOUGH]
    cheaper = cheapest[: cheapest.index(enough[0])] if enough else cheapest
    undecided = tuple(place for place in cheaper if levels[place].verdict is Verdict.OPEN)
    return EffectiveLevel(enough[0] if enough else None, bool(enough) and not undecided, undecided, levels)


def _judge(
    place: int, values: Sequence[Mapping[int, float]], margin: float, confidence: float
) -> LevelVerdict:
    if len(values[place]) < _FEWEST:
        return LevelVerdict(Verdict.UNKNOWN, None, math.nan, math.nan)
    shortfalls = {
        rival: paired_difference(other, values[place], confidence)
        for rival, other in enumerate(values)
        if rival != place and len(other) >= _FEWEST
    }
    if not shortfalls:
        return LevelVerdict(Verdict.UNKNOWN, None, math.nan, math.nan)
    known = {
        rival: found.interval
        for rival, found in shortfalls.items()
        if found.interval is not None and found.interval.is_conclusive and not is_constant(found.values)
    }
    worst = max(known, key=lambda rival: known[rival].low, default=None)
    if worst is not None and known[worst].low > margin:
        return LevelVerdict(Verdict.WORSE, worst, known[worst].low, known[worst].high)
    if len(known) < len(shortfalls):
        unknown = next(rival for rival in shortfalls if rival not in known)
        return LevelVerdict(Verdict.OPEN, unknown, math.nan, math.nan)
    rival = max(known, key=lambda rival: known[rival].high)
    verdict = Verdict.ENOUGH if known[rival].high <= margin else Verdict.OPEN
    return LevelVerdict(verdict, rival, known[rival].low, known[rival].high)
