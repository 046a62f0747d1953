"""Differences between two arms that were trained on the same seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from l2rw_ray.statistics.intervals import Interval, mean_interval

BySeed = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """Treatment minus control.

    Attributes:
        interval: Mean difference and its limits over the seeds that both arms have; None if none.
        unpaired: Seeds left out because one of the arms, at one of the levels, does not have them.
        values: The difference at each of those seeds, seeds ascending.
    """

    interval: Interval | None
    unpaired: int
    values: tuple[float, ...] = ()


def paired_difference(treatment: BySeed, control: BySeed, confidence: float = 0.95) -> Difference:
    """Mean of the differences at equal seeds, with a t interval over seeds.

    A seed fixes split, corruption and initial weights of both arms, so what they share cancels out.
    Captures the variation between seeds of the difference, at this one design point.

    Args:
        treatment: Figure by seed.
        control: Figure by seed.
        confidence: Nominal coverage, between 0 and 1.

    Raises:
        ValueError: A figure is not finite.
    """
    return pooled_paired_difference([(treatment, control)], confidence)


def pooled_paired_difference(levels: Sequence[tuple[BySeed, BySeed]], confidence: float = 0.95) -> Difference:
    """The paired difference averaged over levels within each seed, then a t interval over seeds.

    Captures the variation between seeds of the average over exactly these levels. The levels are
    fixed, not a sample: nothing is said of others. Averaging before the interval keeps the levels
    of one seed, which share data and initial weights, from being counted as independent.

    Args:
        levels: Treatment and control, by seed, at each level.
        confidence: Nominal coverage, between 0 and 1.

    Raises:
        ValueError: No levels, or a figure that is not finite.
    """
    if not levels:
        raise ValueError("a comparison needs at least one level")
    found, unpaired = seed_differences(levels)
    return _difference(found, unpaired, confidence)


def difference_of_differences(
    levels: Sequence[tuple[BySeed, BySeed]], base: Sequence[tuple[BySeed, BySeed]], confidence: float = 0.95
) -> Difference:
    """The interaction of a treatment with a factor: its gain at a level less its gain at another one.

    Each gain is averaged over the remaining factors within each seed, and so is their difference, which
    then gets a t interval over seeds. Captures the variation between seeds of how the gain changes
    between exactly these two levels. A contrast with one figure a seed needs no sphericity; the F test of
    a two-way repeated-measures analysis does, has no correction for it in statsmodels, and with the few
    seeds and many levels of a study calls too much significant.

    Args:
        levels: Treatment and control, by seed, in each setting with the level.
        base: The same with the level it is compared with.
        confidence: Nominal coverage, between 0 and 1.

    Raises:
        ValueError: No settings, or a figure that is not finite.
    """
    if not levels or not base:
        raise ValueError("an interaction needs settings at both levels")
    (here, missing_here), (there, missing_there) = seed_differences(levels), seed_differences(base)
    shared = here.keys() & there.keys()
    unpaired = max(missing_here, missing_there, len(here.keys() ^ there.keys()))
    return _difference({seed: here[seed] - there[seed] for seed in sorted(shared)}, unpaired, confidence)


def seed_differences(levels: Sequence[tuple[BySeed, BySeed]]) -> tuple[dict[int, float], int]:
    """Treatment minus control by seed, averaged over levels; and how many seeds lack a partner."""
    samples = [sample for pair in levels for sample in pair]
    shared = set(samples[0]).intersection(*samples[1:])
    unpaired = len(set().union(*samples) - shared)
    return {
        seed: fmean(treatment[seed] - control[seed] for treatment, control in levels)
        for seed in sorted(shared)
    }, unpaired


def _difference(by_seed: BySeed, unpaired: int, confidence: float) -> Difference:
    if not by_seed:
        return Difference(None, unpaired)
    values = tuple(by_seed.values())
    return Difference(mean_interval(values, confidence), unpaired, values)
