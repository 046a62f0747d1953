"""The `tuned_comparison` design: methods compared at their best configurations after equal searches."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from l2rw_ray.config.design.changes import Changes, fields_of, single_changes
from l2rw_ray.config.design.factors import Factors, crossed
from l2rw_ray.config.design.search import NOT_SEARCHED, SearchOptions
from l2rw_ray.config.design.space import Space
from l2rw_ray.config.section import Section, conflict

_APART = 1000
"""Distance between the seeds of successive searches of an arm."""


_RETESTED_APART = 500_000
"""Distance between the seeds of the two tests of what a search chose; above the largest number of seeds."""


def retest_seed(seed: int) -> int:
    """Return the seed of the second test of what a search chose, from that of the first."""
    return seed + _RETESTED_APART


class Arm(Section):
    """One side of the comparison, tuned on its own."""

    set: Changes = Field(default_factory=dict)
    """Values that define this arm, by path relative to `trial`."""
    space: Space = Field(default_factory=dict)
    """Parameters that only this arm has."""
    factors: Factors = Field(default_factory=dict)
    """Factors that only this arm has."""


class TunedComparisonDesign(SearchOptions):
    """Tunes every arm on validation with equal budgets, then tests its best configuration on fresh seeds."""

    kind: Literal["tuned_comparison"] = "tuned_comparison"
    arms: dict[str, Arm] = Field(min_length=2)
    """The arms by name; the others are compared with the first."""
    factors: Factors = Field(default_factory=dict)
    """Factors to cross all arms with, such as `data.noise.rate`; each combination is tuned separately."""
    search_seeds: tuple[int, ...] = Field(default=(1_000_000,), min_length=1)
    """Seeds to try configurations on; the objective of a configuration is its mean over them."""
    searches: int = Field(default=1, ge=1, le=1000)
    """Number of searches of each arm. 1: all seeds test the one configuration that was chosen. As many as
    `seeds`: each seed tests the choice of a search of its own, so that intervals hold the luck of searching;
    search r adds 1000 r to `search_seeds` and r to `sampler_seed`."""

    @model_validator(mode="after")
    def _spaces_are_searchable(self) -> Self:
        for path, where in self.when.items():
            if not any(path in self.space_of(name) for name in self.arms):
                raise conflict(f"when.{path}", where, "it is in no space", "add it to space")
        for name, arm in self.arms.items():
            own = single_changes(arm.set)
            both = set(arm.space) & (set(self.space) | set(own))
            if both:
                path = min(both)
                given = arm.space[path].model_dump(mode="json", exclude_unset=True)
                remedy = "leave it out of one place"
                raise conflict(f"arms.{name}.space.{path}", given, "it is set twice", remedy)
            fixed = set(own) & set(self.space)
            if fixed:
                problem = "the space that all arms share varies it"
                raise conflict(f"arms.{name}.set.{min(fixed)}", own[min(fixed)], problem, "leave one out")
            if not self.space_of(name):
                raise conflict(f"arms.{name}.space", {}, "nothing to search", "name a parameter")
            self.check_space(self.space_of(name), f"arms.{name}.space")
        return self

    @model_validator(mode="after")
    def _factors_are_free(self) -> Self:
        for name, arm in self.arms.items():
            both = fields_of(self.factors) & fields_of(arm.factors)
            taken = both | set(self.space_of(name)) | set(single_changes(arm.set))
            for field, factors in (("factors", self.factors), (f"arms.{name}.factors", arm.factors)):
                for path, levels in factors.items():
                    if path.partition(".")[0] in NOT_SEARCHED:
                        problem = "all trials of a tuned comparison run on the same"
                        raise conflict(f"{field}.{path}", levels, problem, "make a study for each level")
                    if taken & fields_of({path: levels}):
                        problem = f"arm {name!r} sets or searches it too"
                        raise conflict(f"{field}.{path}", levels, problem, "leave it out of one of the two")
        return self

    @model_validator(mode="after")
    def _seeds_are_usable(self) -> Self:
        seeds = self.all_search_seeds
        if min(seeds) < 0 or len(set(seeds)) < len(seeds):
            problem = "negative, or named twice"
            raise conflict("search_seeds", list(self.search_seeds), problem, "use distinct numbers from 0 on")
        return self

    def max_trials(self, seeds: int) -> int | None:
        """Return the largest number of trials at this many fresh seeds; None when only hours bound it."""
        most = 0
        for name in self.arms:
            trials = self.budget.trials_for(len(self.space_of(name)))
            if trials is None:
                return None
            each = self.searches * trials * len(self.search_seeds) + seeds
            most += len(self.points_of(name)) * each
        return most

    @property
    def unequal_spaces(self) -> str:
        """Numbers of parameters of arms that share one budget, as `a 1, b 3`; empty where they are equal."""
        sizes = {name: len(self.space_of(name)) for name in self.arms}
        shares = self.budget.trials_per_parameter is None and len(set(sizes.values())) > 1
        return ", ".join(f"{name} {size}" for name, size in sizes.items()) if shares else ""

    def search_seeds_of(self, number: int) -> tuple[int, ...]:
        """Return the seeds that one search of an arm tries configurations on, counted from 0."""
        return tuple(seed + _APART * number for seed in self.search_seeds)

    @property
    def all_search_seeds(self) -> tuple[int, ...]:
        """The seeds of all searches of an arm."""
        return tuple(seed for number in range(self.searches) for seed in self.search_seeds_of(number))

    def space_of(self, arm: str) -> Space:
        """Return the search space of one arm."""
        return {**self.space, **self.arms[arm].space}

    def points_of(self, arm: str) -> list[dict[str, Any]]:
        """Return the combinations of factor levels to tune one arm at; a single empty one without factors."""
        return crossed({**self.factors, **self.arms[arm].factors})
