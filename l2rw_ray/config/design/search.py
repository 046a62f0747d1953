"""The `search` design, and the space, sampler and budget that `tuned_comparison` shares with it."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from l2rw_ray.config.design.space import CategoricalParameter, Space, Where, as_levels, ends_of, in_order
from l2rw_ray.config.field_path import FieldPath
from l2rw_ray.config.section import Section, conflict

COSTS = ("overhead_ratio", "peak_memory_bytes", "duration_s")
"""Cost metrics that a search may trade accuracy against; without weights the overhead ratio is 1."""
NOT_SEARCHED = ("resources", "measurement")
"""Sections that do not influence training."""


class Budget(Section):
    """When a search ends: at the first limit reached."""

    trials: int | None = Field(default=None, ge=1)
    """Number of configurations to try."""
    trials_per_parameter: int | None = Field(default=None, ge=1)
    """Number of configurations to try for each parameter of the space, in place of `trials`: an arm with more
    parameters gets more of them. Not of a `minimum_effective` design."""
    hours: float | None = Field(default=None, gt=0)
    """Total training time of all trials in hours; no configuration starts once it is used up."""

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.trials is None and self.trials_per_parameter is None and self.hours is None:
            raise conflict("trials", None, "the search would never end", "give trials, hours, or both")
        if self.trials is not None and self.trials_per_parameter is not None:
            problem = f"each parameter has {self.trials_per_parameter} already"
            raise conflict("trials", self.trials, problem, "give one of the two")
        return self

    def trials_for(self, parameters: int) -> int | None:
        """Return the number of configurations to try in a space of so many parameters; None for any."""
        each = self.trials_per_parameter
        return self.trials if each is None else each * parameters

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the field out where it is not given, so that plans registered before it keep their hash."""
        dumped: dict[str, Any] = dump(self)
        if self.trials_per_parameter is None:
            dumped.pop("trials_per_parameter", None)
        return dumped


class _Stopping(Section):
    grace_epochs: int = Field(default=1, ge=1)
    """Epochs that every trial trains before any is stopped."""
    grace_steps: int | None = Field(default=None, ge=1)
    """Steps in place of epochs, for trials that are as long as `optim.steps` says."""

    @property
    def grace(self) -> int:
        """The length that every trial trains, in the unit of its own length."""
        return self.grace_epochs if self.grace_steps is None else self.grace_steps


class AshaStopping(_Stopping):
    """Asynchronous successive halving (Li et al. 2020): only the best trials continue from each rung.

    A resumed search compares only the trials of its new run.
    """

    name: Literal["asha"]
    reduction_factor: int = Field(default=3, ge=2)
    """One in this many trials continues to the next rung, which has this many times the epochs or steps."""


class MedianStopping(_Stopping):
    """Stops a trial whose best metric is below the median of the others' means (Golovin et al. 2017).

    A resumed search compares only the trials of its new run.
    """

    name: Literal["median"]
    min_trials: int = Field(default=3, ge=1)
    """Trials that must have reported before any is stopped."""


class SearchOptions(Section):
    """How configurations are proposed, and when that ends."""

    space: Space = Field(default_factory=dict)
    """What is varied, by path relative to `trial`."""
    when: dict[FieldPath, Where] = Field(default_factory=dict)
    """By parameter: values of others at which it has a meaning; elsewhere it is not varied."""
    sampler: Literal["tpe", "gp", "random", "qmc", "nsga2", "cmaes"] = "tpe"
    """Optuna's sampler; `cmaes` needs the extra of the same name."""
    sampler_seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the sampler."""
    budget: Budget
    """When it ends."""

    def check_space(self, space: Space, field: str = "space") -> None:
        """Check that the space can be searched under its conditions."""
        for path in space:
            if path.partition(".")[0] in NOT_SEARCHED:
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
    """A metric that a search optimises beside the study's objective."""

    metric: str
    """`overhead_ratio`, `peak_memory_bytes`, `duration_s`, or a validation metric as in `objective`."""
    mode: Literal["max", "min"]
    """Whether larger or smaller is better."""


class SearchDesign(SearchOptions):
    """Configurations that Optuna proposes to optimise the objective on the validation set."""

    kind: Literal["search"] = "search"
    further_objectives: tuple[Criterion, ...] = Field(default=(), max_length=3)
    """Metrics to optimise beside the objective; the report shows the Pareto front."""
    stopping: Annotated[AshaStopping | MedianStopping, Field(discriminator="name")] | None = None
    """Rule that prunes unpromising trials; null for none."""

    @model_validator(mode="after")
    def _space_is_searchable(self) -> Self:
        if not self.space:
            raise conflict("space", {}, "nothing to search", "name a parameter")
        for path in self.when:
            if path not in self.space:
                raise conflict(f"when.{path}", self.when[path], "it is not in the space", "add it to space")
        self.check_space(self.space)
        return self

    def max_trials(self, seeds: int) -> int | None:
        """Return the largest number of trials at this many seeds; None when only hours bound it."""
        trials = self.budget.trials_for(len(self.space))
        return None if trials is None else trials * seeds

    @model_validator(mode="after")
    def _goes_with_several_objectives(self) -> Self:
        if self.further_objectives and self.stopping:
            problem = "with several objectives a trial may be worth finishing for another one's sake"
            raise conflict("stopping", self.stopping.name, problem, "leave one of the two out")
        if self.further_objectives and self.sampler == "cmaes":
            raise conflict("sampler", "cmaes", "it has one objective", "use nsga2 or tpe")
        return self
