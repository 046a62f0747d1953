"""The number of seeds that diverged or are missing, in words."""

from dataclasses import dataclass

from l2rw_ray.report.design_points.labels import count
from l2rw_ray.statistics.proportion import exact_proportion_interval


@dataclass(frozen=True, slots=True)
class Runs:
    """How the seeds of one level ended; a seed counts as diverged if it did at any setting.

    Attributes:
        name: Name of the level.
        seeds: Number of planned seeds.
        diverged: Seeds whose training produced NaN or infinity.
        missing: Seeds without a result for another reason: failed, stopped or not run.
    """

    name: str
    seeds: int
    diverged: int
    missing: int

    @property
    def divergence(self) -> str:
        """The seeds that diverged, with exact binomial limits; empty if none did."""
        known = max(self.seeds - self.missing, self.diverged)
        if not self.diverged:
            return ""
        low, high = exact_proportion_interval(self.diverged, known)
        of = f"{self.diverged} of {count(known, 'seed')} of {self.name} diverged"
        return f"{of} (95 % limits {100 * low:.0f} to {100 * high:.0f} %)"

    @property
    def gap(self) -> str:
        """The seeds that are missing; empty if none is."""
        return f"{self.missing} of {count(self.seeds, 'seed')} of {self.name}" if self.missing else ""
