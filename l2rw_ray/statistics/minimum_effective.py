"""Minimum effective level: the levels shown to be no worse than the best by more than a margin."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

from l2rw_ray.statistics.intervals import half_width, is_constant

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


def is_accuracy(metric: str) -> bool:
    """Return whether a metric of the ledger lies between 0 and 1, where differences are bounded."""
    return metric.endswith("accuracy")


def worst_value(metric: str, mode: str) -> float:
    """Return the value of a run that diverged: 0 for an accuracy, else infinitely bad.

    Args:
        metric: Name of the metric.
        mode: `max` or `min`, which is better.
    """
    if is_accuracy(metric):
        return 0.0
    return -math.inf if mode == "max" else math.inf


def effective_level(
    values: Sequence[Mapping[int, float]],
    margin: float,
    *,
    alpha: float,
    looks: int,
    cheapest_first: bool = True,
    more_is_better: bool = True,
    widest: float | None = None,
) -> EffectiveLevel:
    """Judge levels by their values at equal seeds.

    A level is enough if, against every other level, the upper limit of the mean paired difference is at most
    the margin: an intersection-union test, so rivals need no correction. It is worse if some lower limit is
    above the margin, corrected for the number of rivals too. A level with fewer than two values is neither
    rival nor answer.

    Limits are one-sided t limits at `alpha` divided evenly over levels and looks (Bonferroni), so that the
    probability of calling any level enough that is not, at any look, is at most `alpha`, and so is that of
    calling any level worse that is not, provided that each look uses the planned number of seeds. The limits
    assume differences that are independent between seeds and roughly normal, and capture the variation
    between seeds only: a failure so rare that no seed shows it is in no limit.

    Differences that are the same at every seed, zero included, show no variation to estimate. Two levels that
    both collapsed to chance look alike, for example. Only a bound that needs no variance can decide them.

    A value may be infinitely bad: the seed diverged, and the metric has no worst value. Such a level is never
    enough, and as a rival it is judged by its other seeds.

    Args:
        values: Value by seed of each level, levels in order of their cost.
        margin: Largest acceptable shortfall, in the unit of the values.
        alpha: Probability of a wrong answer.
        looks: Number of looks planned while seeds are added.
        cheapest_first: Whether the first level is the cheapest; otherwise the last is.
        more_is_better: Whether larger values are better.
        widest: Largest possible difference of two values, 1 for accuracies; None if there is none.
    """
    sign = 1 if more_is_better else -1
    signed = [{seed: sign * value for seed, value in level.items()} for level in values]
    limits = _Limits(alpha / (len(values) * looks), max(len(values) - 1, 1), widest)
    levels = tuple(_judge(place, signed, margin, limits) for place in range(len(signed)))
    cheapest = list(range(len(levels)))
    if not cheapest_first:
        cheapest.reverse()
    enough = [place for place in cheapest if levels[place].verdict is Verdict.ENOUGH]
    cheaper = cheapest[: cheapest.index(enough[0])] if enough else cheapest
    undecided = tuple(place for place in cheaper if levels[place].verdict is Verdict.OPEN)
    return EffectiveLevel(enough[0] if enough else None, bool(enough) and not undecided, undecided, levels)


@dataclass(frozen=True, slots=True)
class _Limits:
    """How limits of a shortfall are computed.

    Attributes:
        alpha: Error of each upper limit.
        rivals: Number of rivals among which the error of a lower limit is divided further.
        widest: Largest possible difference; None if there is none.
    """

    alpha: float
    rivals: int
    widest: float | None

    def of(self, shortfalls: Sequence[float]) -> tuple[float, float] | None:
        """Return the lower and the upper limit of a mean; None where they are unknown."""
        n, mean = len(shortfalls), fmean(shortfalls) if shortfalls else 0.0
        if n < _FEWEST:
            return None
        if is_constant(shortfalls) or not any(shortfalls):
            return self._of_constant(mean, n)
        deviation = stdev(shortfalls)
        low, high = (
            half_width(deviation, n, 1 - 2 * alpha) for alpha in (self.alpha / self.rivals, self.alpha)
        )
        return mean - low, mean + high

    def _of_constant(self, mean: float, n: int) -> tuple[float, float] | None:
        """Return limits of the mean of a bounded variable that had one value n times.

        If the mean were higher by m, values above the one seen would have a probability of at least
        m / (widest − seen), and n times none of them would be rarer than alpha.
        """
        if self.widest is None:
            return None
        low, high = (1 - math.pow(alpha, 1 / n) for alpha in (self.alpha / self.rivals, self.alpha))
        return mean - low * (self.widest + mean), mean + high * (self.widest - mean)


def _judge(place: int, values: Sequence[Mapping[int, float]], margin: float, limits: _Limits) -> LevelVerdict:
    own = values[place]
    if len(own) < _FEWEST:
        return LevelVerdict(Verdict.UNKNOWN, None, math.nan, math.nan)
    rivals = {
        rival: {seed: value for seed, value in other.items() if math.isfinite(value)}
        for rival, other in enumerate(values)
        if rival != place and len(other) >= _FEWEST
    }
    if not rivals:
        return LevelVerdict(Verdict.UNKNOWN, None, math.nan, math.nan)
    if not all(map(math.isfinite, own.values())):
        return LevelVerdict(Verdict.OPEN, None, math.nan, math.nan)
    found = {
        rival: limits.of([other[seed] - own[seed] for seed in sorted(other.keys() & own.keys())])
        for rival, other in rivals.items()
    }
    known = {rival: ends for rival, ends in found.items() if ends is not None}
    worst = max(known, key=lambda rival: known[rival][0], default=None)
    if worst is not None and known[worst][0] > margin:
        return LevelVerdict(Verdict.WORSE, worst, *known[worst])
    if len(known) < len(found):
        return LevelVerdict(
            Verdict.OPEN, next(rival for rival in found if rival not in known), math.nan, math.nan
        )
    rival = max(known, key=lambda rival: known[rival][1])
    verdict = Verdict.ENOUGH if known[rival][1] <= margin else Verdict.OPEN
    return LevelVerdict(verdict, rival, *known[rival])
