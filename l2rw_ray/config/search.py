"""Designs whose trials are proposed by a search: `search` and `tuned_comparison`."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from l2rw_ray.config.section import Section, conflict
from l2rw_ray.config.space import (
    CategoricalParameter,
    Space,
    Where,
    as_levels,
    ends_of,
    in_order,
)

COSTS = ("overhead_ratio", "peak_memory_bytes", "duration_s")
"""Figures of cost that a search may trade accuracy against; without weights the overhead ratio is 1."""
_PREFIXES_NOT_SEARCHED = ("resources.", "measurement.")


class Budget(Section):
    """When a search ends: at whichever limit comes first."""

    trials: int | None = Field(default=None, ge=1)
    """Configurations that are tried."""
    hours: float | None = Field(default=None, gt=0)
    """Training time of all trials added up, in hours; no configuration is begun once it is used."""

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.trials is None and self.hours is None:
            raise conflict("trials", None, "the search would never end", "give trials, hours, or both")
        return self


class AshaStopping(Section):
    """Asynchronous successive halving (Li et al. 2020): only the best go on from each rung.

    A search that goes on after a break compares the trials of its new run with one another.
    """

    name: Literal["asha"]
    grace_epochs: int = Field(default=1, ge=1)
    """Epochs of the first rung, which every trial trains."""
    reduction_factor: int = Field(default=3, ge=2)
    """One in so many goes on from a rung to the next, which has so many times its epochs."""


class MedianStopping(Section):
    """Stops a trial whose best figure is below the median of the others' means (Golovin et al. 2017).

    A search that goes on after a break compares the trials of its new run with one another.
    """

    name: Literal["median"]
    grace_epochs: int = Field(default=1, ge=1)
    """Epochs that every trial trains."""
    min_trials: int = Field(default=3, ge=1)
    """Trials that must have been seen."""


class SearchOptions(Section):
    """How configurations are proposed, and when that ends."""

    space: Space = Field(default_factory=dict)
    """What is varied, by path relative to `trial`."""
    when: dict[str, Where] = Field(default_factory=dict)
    """By parameter: values of others at which it has a meaning; elsewhere it is left alone."""
    sampler: Literal["tpe", "gp", "random", "qmc", "nsga2", "cmaes"] = "tpe"
    """Optuna's sampler; `cmaes` needs the extra of the same name."""
    sampler_seed: int = Field(default=0, ge=0, lt=2**32)
    """Where its random numbers start."""
    budget: Budget
    """When it ends."""

    def check_space(self, space: Space, field: str = "space") -> None:
        """Refuse a space that cannot be searched, with its conditions."""
        for path in space:
            if path.startswith(_PREFIXES_NOT_SEARCHED):
                raise conflict(
                    f"{field}.{path}", "", "it is no part of what is trained", "search another field"
                )
        for path, where in self.when.items():
            if path not in space:
                continue
            for other, wanted in where.items():
                if other not in space or other == path:
                    problem = "it is not among the other parameters"
                    raise conflict(f"when.{path}.{other}", wanted, problem, "name one that is searched")
                self._check_levels(path, other, wanted, space)
        try:
            in_order(space, self.when)
        except ValueError as circle:
            problem = "the conditions depend on each other"
            raise conflict(f"when.{circle}", self.when[str(circle)], problem, "leave one out") from None
        if self.sampler == "cmaes" and (
            self.when or any(isinstance(parameter, CategoricalParameter) for parameter in space.values())
        ):
            problem = "it treats numbers only, and all of them in every trial"
            raise conflict("sampler", "cmaes", problem, "use tpe")

    def _check_levels(self, path: str, other: str, wanted: Any, space: Space) -> None:
        parameter = space[other]
        for level in as_levels(wanted):
            if not isinstance(parameter, CategoricalParameter):
                problem = f"{other} is a range"
                raise conflict(f"when.{path}.{other}", level, problem, "depend on a categorical parameter")
            if level not in ends_of(parameter):
                known = ", ".join(map(str, parameter.choices))
                raise conflict(f"when.{path}.{other}", level, "no choice of it", f"use one of {known}")


class Criterion(Section):
    """A figure that a search optimises beside the study's objective."""

    metric: str
    """One of `COSTS`, or a validation figure as in `objective`."""
    mode: Literal["max", "min"]


class SearchDesign(SearchOptions):
    """Configurations proposed by Optuna, to optimise the objective on validation."""

    kind: Literal["search"]
    further_objectives: tuple[Criterion, ...] = Field(default=(), max_length=3)
    """What is traded against the objective; the report shows the Pareto front."""
    stopping: Annotated[AshaStopping | MedianStopping, Field(discriminator="name")] | None = None
    """How trials without prospect are stopped early; null for not at all."""

    @model_validator(mode="after")
    def _space_is_searchable(self) -> Self:
        if not self.space:
            raise conflict("space", {}, "nothing to search", "name a parameter")
        for path in self.when:
            if path not in self.space:
                raise conflict(f"when.{path}", self.when[path], "it is not in the space", "add it to space")
        self.check_space(self.space)
        return self

    def most_trials(self, seeds: int) -> int | None:
        """How many trials it asks for at most at so many seeds; None where only hours bound it."""
        return None if self.budget.trials is None else self.budget.trials * seeds

    @model_validator(mode="after")
    def _goes_with_several_objectives(self) -> Self:
        if self.further_objectives and self.stopping:
            problem = "with several objectives a trial may be worth finishing for another one's sake"
            raise conflict("stopping", self.stopping.name, problem, "leave one of the two out")
        if self.further_objectives and self.sampler == "cmaes":
            raise conflict("sampler", "cmaes", "it has one objective", "use nsga2 or tpe")
        return self


class Arm(Section):
    """One of the methods that are compared, each tuned on its own."""

    set: dict[str, Any] = Field(default_factory=dict)
    """What makes this arm: values by path relative to `trial`."""
    space: Space = Field(default_factory=dict)
    """Parameters that only this arm has."""


class TunedComparisonDesign(SearchOptions):
    """Every arm is tuned on validation with the same budget; its best runs on fresh seeds for the test."""

    kind: Literal["tuned_comparison"]
    arms: dict[str, Arm] = Field(min_length=2)
    """The arms by name; the others are compared with the first."""
    search_seeds: tuple[int, ...] = Field(default=(1_000_000,), min_length=1)
    """Seeds that configurations are tried on; a configuration's figure is its mean over them."""

    @model_validator(mode="after")
    def _spaces_are_searchable(self) -> Self:
        for path, where in self.when.items():
            if not any(path in self.space_of(name) for name in self.arms):
                raise conflict(f"when.{path}", where, "it is in no space", "add it to space")
        for name, arm in self.arms.items():
            both = set(arm.space) & (set(self.space) | set(arm.set))
            if both:
                path = min(both)
                raise conflict(
                    f"arms.{name}.space.{path}", "", "it is set twice", "leave it out of one place"
                )
            fixed = set(arm.set) & set(self.space)
            if fixed:
                problem = "the space that all arms share varies it"
                raise conflict(f"arms.{name}.set.{min(fixed)}", arm.set[min(fixed)], problem, "leave one out")
            if not self.space_of(name):
                raise conflict(f"arms.{name}.space", {}, "nothing to search", "name a parameter")
            self.check_space(self.space_of(name), f"arms.{name}.space")
        return self

    @model_validator(mode="after")
    def _seeds_are_usable(self) -> Self:
        if min(self.search_seeds) < 0 or len(set(self.search_seeds)) < len(self.search_seeds):
            problem = "negative, or named twice"
            raise conflict("search_seeds", list(self.search_seeds), problem, "use distinct numbers from 0 on")
        return self

    def most_trials(self, seeds: int) -> int | None:
        """How many trials it asks for at most at so many fresh seeds; None where only hours bound it."""
        if self.budget.trials is None:
            return None
        return len(self.arms) * (self.budget.trials * len(self.search_seeds) + seeds)

    def space_of(self, arm: str) -> Space:
        """What is varied for one arm."""
        return {**self.space, **self.arms[arm].space}
