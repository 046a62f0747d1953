"""Paired differences between two methods that were trained on the same seeds."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from l2rw_ray.statistics.example_sampling import ExampleError
from l2rw_ray.statistics.intervals import Interval, mean_interval

BySeed = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """Treatment minus control.

    Attributes:
        interval: Mean difference and its limits over the seeds that both have; None if there are none.
        unpaired: Number of seeds left out because a value is missing for one of the two at some level.
        values: The difference at each of the shared seeds, seeds ascending.
        ranked: The same with infinite differences where one of the two diverged and has no worst value;
            empty where all differences are finite. `interval` and `values` are then of the finite ones.
        example_error: What the choice of test examples that all seeds share adds to the interval; None where
            it is not known, or where each seed draws its own.
    """

    interval: Interval | None
    unpaired: int
    values: tuple[float, ...] = ()
    ranked: tuple[float, ...] = ()
    example_error: ExampleError | None = None

    @property
    def example_variance(self) -> float:
        """The variance that the choice of test examples adds; 0 where there is none to add."""
        return self.example_error.variance if self.example_error is not None else 0.0

    def with_example_error(self, error: ExampleError, confidence: float = 0.95) -> "Difference":
        """Return the difference with an interval over seeds and test examples."""
        interval = mean_interval(self.values, confidence, error.variance)
        return replace(self, interval=interval, example_error=error)


def paired_difference(treatment: BySeed, control: BySeed, confidence: float = 0.95) -> Difference:
    """Return the mean of the differences at equal seeds, with a t interval over seeds.

    A seed fixes split, corruption and initial weights of both, so that their common variation cancels.
    The interval captures the variation of the difference between seeds, in this one setting.

    Args:
        treatment: Value by seed.
        control: Value by seed.
        confidence: Nominal coverage, between 0 and 1.

    Raises:
        ValueError: A value is not finite.
    """
    return pooled_paired_difference([(treatment, control)], confidence)


def pooled_paired_difference(levels: Sequence[tuple[BySeed, BySeed]], confidence: float = 0.95) -> Difference:
    """Return the paired difference averaged over levels within each seed, with a t interval over seeds.

    The interval captures the variation between seeds of the average over exactly these levels. The levels
    are fixed, not a sample: nothing follows for other levels. Because levels of one seed share data and
    initial weights, they are averaged first and not counted as independent.

    Args:
        levels: Treatment and control, by seed, at each level.
        confidence: Nominal coverage, between 0 and 1.

    Raises:
        ValueError: There are no levels, or a value is not finite.
    """
    if not levels:
        raise ValueError("a comparison needs at least one level")
    found, unpaired = seed_differences(levels)
    return _difference(found, unpaired, confidence)


def ranked_paired_difference(levels: Sequence[tuple[BySeed, BySeed]], confidence: float = 0.95) -> Difference:
    """Return the paired difference over levels of values of which some are infinitely bad.

    The interval is that of the seeds where all values are finite, the survivors: it says nothing of the
    others. `ranked` holds the differences of all shared seeds, to be tested by their ranks.

    Args:
        levels: Treatment and control, by seed, at each level; infinite where a run diverged.
        confidence: Nominal coverage, between 0 and 1.
    """
    infinite = {
        seed for pair in levels for sample in pair for seed, value in sample.items() if math.isinf(value)
    }
    survivors = pooled_paired_difference(
        [(_without(a, infinite), _without(b, infinite)) for a, b in levels], confidence
    )
    shared = set(levels[0][0]).intersection(*(sample for pair in levels for sample in pair))
    ranked = [_mean_difference([(a[seed], b[seed]) for a, b in levels]) for seed in sorted(shared)]
    unpaired = len({seed for pair in levels for sample in pair for seed in sample} - shared)
    return replace(survivors, unpaired=unpaired, ranked=tuple(ranked) if infinite else ())


def difference_of_differences(
    levels: Sequence[tuple[BySeed, BySeed]], base: Sequence[tuple[BySeed, BySeed]], confidence: float = 0.95
) -> Difference:
    """Return the interaction of a treatment with a factor: its gain at one level minus its gain at another.

    Each gain is averaged over the remaining factors within each seed; their difference by seed gets a t
    interval over seeds, which captures the variation between seeds of the change between exactly these two
    levels. A contrast with one value per seed does not require sphericity. The F test of a two-way
    repeated-measures analysis does, statsmodels has no correction for it, and with few seeds and many
    levels it rejects too often.

    Args:
        levels: Treatment and control, by seed, in each setting with the level.
        base: The same in each setting with the base level.
        confidence: Nominal coverage, between 0 and 1.

    Raises:
        ValueError: There are no settings, or a value is not finite.
    """
    if not levels or not base:
        raise ValueError("an interaction needs settings at both levels")
    (here, missing_here), (there, missing_there) = seed_differences(levels), seed_differences(base)
    shared = here.keys() & there.keys()
    unpaired = max(missing_here, missing_there, len(here.keys() ^ there.keys()))
    return _difference({seed: here[seed] - there[seed] for seed in sorted(shared)}, unpaired, confidence)


def seed_differences(levels: Sequence[tuple[BySeed, BySeed]]) -> tuple[dict[int, float], int]:
    """Return treatment minus control by seed, averaged over levels, and the number of unpaired seeds."""
    samples = [sample for pair in levels for sample in pair]
    shared = set(samples[0]).intersection(*samples[1:])
    unpaired = len(set().union(*samples) - shared)
    return {
        seed: fmean(treatment[seed] - control[seed] for treatment, control in levels)
        for seed in sorted(shared)
    }, unpaired


def _without(sample: BySeed, seeds: Collection[int]) -> BySeed:
    return {seed: value for seed, value in sample.items() if seed not in seeds}


def _mean_difference(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the mean difference, where two infinite values are equal and opposite infinities cancel."""
    differences = [0.0 if math.isinf(a) and a == b else a - b for a, b in pairs]
    return 0.0 if {math.inf, -math.inf} <= set(differences) else fmean(differences)


def _difference(by_seed: BySeed, unpaired: int, confidence: float) -> Difference:
    if not by_seed:
        return Difference(None, unpaired)
    values = tuple(by_seed.values())
    return Difference(mean_interval(values, confidence), unpaired, values)
