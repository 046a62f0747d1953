"""The searches of a study, and the key that identifies each."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from l2rw_ray.config import PlannedTrial, Stage, StudySpec, trial_fingerprint
from l2rw_ray.config.design.kinds import VARIANT, SearchingDesign
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.config.design.space import CategoricalParameter, FloatParameter, IntParameter, Space
from l2rw_ray.planning.plan import configure, trials_at_ends


@dataclass(frozen=True)
class SearchSpec:
    """One search of a study.

    Attributes:
        spec: The study.
        design: Its design.
        fixed: Values by path that every configuration has, such as those of an arm.
        levels: Factor levels of its trials, beside the parameters.
        space: What is varied.
        seeds: Seeds of each configuration.
        final_seeds: Seeds of the final trials of the configuration that is chosen; none of a `search`.
        retest_seeds: Seeds at which it is tested once more, to tell the search from the seed.
    """

    spec: StudySpec
    design: SearchingDesign
    fixed: Mapping[str, Any]
    levels: Mapping[str, Any]
    space: Space
    seeds: Sequence[int]
    final_seeds: Sequence[int] = ()
    retest_seeds: Sequence[int] = ()

    @property
    def metrics(self) -> list[tuple[str, str]]:
        """Metrics that are optimised, and `max` or `min` for each."""
        further = self.design.further_objectives if isinstance(self.design, SearchDesign) else ()
        objective = self.spec.objective
        return [(objective.metric, objective.mode), *((each.metric, each.mode) for each in further)]

    @property
    def prunes(self) -> bool:
        """Whether trials may be stopped early."""
        return isinstance(self.design, SearchDesign) and self.design.stopping is not None

    @cached_property
    def key(self) -> str:
        """Hash of what the search is about; another budget or sampler does not make another search."""
        identity = {
            "trials": sorted(
                {trial.trial_id for trial in trials_at_ends(self.spec, dict(self.fixed), self.space)}
            ),
            "space": {path: _identity(parameter) for path, parameter in self.space.items()},
            "when": self.design.when,
            "objectives": self.metrics,
            "fixed": dict(self.fixed),
            "seeds": list(self.seeds),
        }
        canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def trials(self, values: Mapping[str, Any]) -> list[PlannedTrial]:
        """Return the trials of a configuration, one per seed.

        Args:
            values: Value of each parameter by path.

        Raises:
            ConfigError: The values make no valid trial.
        """
        levels = {**self.levels, **values}
        config, resources = configure(self.spec, {**self.fixed, **values}, levels)
        return [
            PlannedTrial(
                trial_fingerprint(config, seed, resources),
                config,
                seed,
                resources,
                levels,
                Stage.SEARCH,
                self.key,
            )
            for seed in self.seeds
        ]


def search_specs(spec: StudySpec) -> list[SearchSpec]:
    """Return the searches of a study: one, or `searches` per arm and combination of factor levels.

    Args:
        spec: A study whose design is a search or a tuned comparison.
    """
    design = spec.design
    assert isinstance(design, SearchingDesign)
    if isinstance(design, SearchDesign):
        return [SearchSpec(spec, _with_trials(design, design.space), {}, {}, design.space, spec.seed_values)]
    seeds = spec.all_seeds
    return [
        SearchSpec(
            spec,
            _with_trials(design, design.space_of(name), number),
            arm.set | point,
            {VARIANT: name} | point,
            design.space_of(name),
            design.search_seeds_of(number),
            seeds if design.searches == 1 else seeds[number : number + 1],
            spec.retest_seeds[number : number + 1],
        )
        for name, arm in design.arms.items()
        for point in design.points_of(name)
        for number in range(design.searches)
    ]


def _with_trials(design: SearchingDesign, space: Space, number: int = 0) -> SearchingDesign:
    """Return the design with the number of configurations, and the sampler's seed, of one of its searches."""
    budget = design.budget.model_copy(update={"trials": design.budget.trials_for(len(space))})
    return design.model_copy(update={"budget": budget, "sampler_seed": design.sampler_seed + number})


def _identity(parameter: FloatParameter | IntParameter | CategoricalParameter) -> dict[str, Any]:
    """Return what a parameter is; without the step of a float that has none, as before there were steps."""
    dumped = parameter.model_dump(mode="json")
    return {name: value for name, value in dumped.items() if name != "step" or value is not None}
