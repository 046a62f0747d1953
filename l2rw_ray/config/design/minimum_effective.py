"""The `minimum_effective` design: the smallest level that is enough."""

from itertools import pairwise
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from l2rw_ray.config.design.search import Budget
from l2rw_ray.config.section import Section, conflict


class MinimumEffectiveDesign(Section):
    """The smallest (or largest) level of one factor that is not worse than the best by more than a margin.

    Every level runs at the study's seeds. Then the level on which the answer depends, and the best one, get
    more seeds until the answer is clear or the budget is used.
    """

    kind: Literal["minimum_effective"] = "minimum_effective"
    factor: str
    """The factor to vary, by path relative to `trial`, such as `data.meta_per_class`."""
    levels: tuple[Any, ...] = Field(min_length=2)
    """Its levels from the smallest to the largest."""
    seek: Literal["smallest", "largest"] = "smallest"
    """Which end is cheaper: `smallest`, as for the clean set, or `largest`, as for the interval between
    updates."""
    margin: float = Field(gt=0)
    """Loss of the objective that does not matter, in its unit: 0.02 is two points of accuracy."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Probability that the level found is not worse by more than the margin."""
    most_seeds: int = Field(default=20, ge=2)
    """Maximum number of seeds per level."""
    budget: Budget | None = None
    """When to stop adding seeds; null stops only at `most_seeds`."""

    @field_validator("levels")
    @classmethod
    def _levels_are_in_order(cls, levels: tuple[Any, ...]) -> tuple[Any, ...]:
        numbers = all(isinstance(level, int | float) and not isinstance(level, bool) for level in levels)
        for before, level in pairwise(levels):
            if numbers and level <= before:
                raise conflict("", level, f"not above {before}", "list levels from small to large")
        if any(level in levels[:place] for place, level in enumerate(levels)):
            raise conflict("", list(levels), "the same level twice", "name each level once")
        return levels

    @model_validator(mode="after")
    def _is_of_the_trial(self) -> Self:
        if self.factor.partition(".")[0] == "resources":
            raise conflict("factor", self.factor, "it is no part of what is trained", "vary another field")
        if self.budget is not None and self.budget.trials_per_parameter is not None:
            per_parameter = self.budget.trials_per_parameter
            raise conflict("budget.trials_per_parameter", per_parameter, "nothing is searched", "use trials")
        return self
