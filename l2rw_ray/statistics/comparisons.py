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
    """

    interval: Interval | None
    unpaired: int


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
    samples = [sample for pair in levels for sample in pair]
    shared = set(samples[0]).intersection(*samples[1:])
    unpaired = len(set().union(*samples) - shared)
    if not shared:
        return Difference(None, unpaired)
    differences = [
        fmean(treatment[seed] - control[seed] for treatment, control in levels) for seed in sorted(shared)
    ]
    return Difference(mean_interval(differences, confidence), unpaired)
