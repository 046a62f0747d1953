"""Turn a study into the explicit list of its trials."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from l2rw_ray.config import (
    AblationDesign,
    GridDesign,
    PlannedTrial,
    Resources,
    Stage,
    StudySpec,
    TrialConfig,
    trial_fingerprint,
)
from l2rw_ray.config.design.factors import crossed, varied_fields
from l2rw_ray.config.design.kinds import VARIANT, Design, FixedDesign, SearchingDesign
from l2rw_ray.config.design.minimum_effective import MinimumEffectiveDesign
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.config.design.space import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Space,
    Where,
    as_levels,
    ends_of,
    meets,
)
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.config.functions.any_trial import AnyTrial, trial_path
from l2rw_ray.config.loading import parse_resources, parse_trial
from l2rw_ray.config.overrides import Tree, assign, look_up
from l2rw_ray.config.planned_trial import selectors_first
from l2rw_ray.config.training.random_sources import RandomSource
from l2rw_ray.errors import ConfigError
from l2rw_ray.limits import MAX_TRIALS

_RESOURCES = "resources"
"""Section outside `trial` whose fields may be factors too."""


def plan_study(spec: StudySpec) -> tuple[PlannedTrial, ...]:
    """Return the trials of a study that are known before any has run.

    These are the design points in the order of the file, each at every seed; a search has none.

    Args:
        spec: The study.

    Raises:
        ConfigError: A combination of levels is no valid trial, or two combinations or two arms are the
            same; some end of a search space is no valid trial.
    """
    if isinstance(spec.design, TunedComparisonDesign):
        _check_arms_differ(spec.trial, spec.design)
    if isinstance(spec.design, SearchingDesign):
        representative_trials(spec)
        return ()
    points, seeds = list(_design_points(spec.design)), spec.seed_values
    number = len(points) * len(seeds) * (1 + len(spec.redrawn))
    if number > MAX_TRIALS:
        problem = f"{len(points):,} design points, which makes {number:,} trials"
        raise ConfigError("seeds", len(seeds), problem, f"use fewer: at most {MAX_TRIALS:,} trials")
    trials = [
        PlannedTrial(
            trial_id=trial_fingerprint(config, seed, resources),
            config=config,
            seed=seed,
            resources=resources,
            factors=_split_method(levels, spec.design, config),
        )
        for levels, values in points
        for config, resources in [configure(spec, values, levels)]
        for seed in seeds
    ]
    trials += [_redrawn(trial, source) for source in spec.redrawn for trial in trials]
    _check_distinct_points(trials)
    return tuple(trials)


def _split_method(levels: Tree, design: Design, config: AnyTrial) -> Tree:
    """Return the levels of a point with the name of its method by itself, where they hold its whole section.

    The fields in which levels of this method differ follow, so that none of its points stands for another.
    """
    if not isinstance(config, TrialConfig) or "method" not in levels or not isinstance(design, FixedDesign):
        return levels
    own = config.method.model_dump(mode="json")
    shown = ("name", *varied_fields(design.factors["method"], own["name"]))
    others = {path: level for path, level in levels.items() if path != "method"}
    return {f"method.{name}": own[name] for name in shown} | others


def _redrawn(trial: PlannedTrial, source: RandomSource) -> PlannedTrial:
    """Return a trial with one source of randomness drawn anew."""
    config = trial.built_in.model_copy(update={"redraw": source})
    trial_id = trial_fingerprint(config, trial.seed, trial.resources)
    return replace(trial, trial_id=trial_id, config=config, stage=Stage.REDRAWN)


def representative_trials(spec: StudySpec) -> list[PlannedTrial]:
    """Return trials of a search at every choice and both ends of each parameter, to validate its space.

    Raises:
        ConfigError: One is no valid trial.
    """
    design = spec.design
    if not isinstance(design, SearchingDesign):
        return list(plan_study(spec))
    if isinstance(design, SearchDesign):
        return trials_at_ends(spec, {}, design.space)
    return [
        trial
        for name, arm in design.arms.items()
        for point in design.points_of(name)
        for trial in trials_at_ends(spec, arm.set | point, design.space_of(name))
    ]


def trials_at_ends(spec: StudySpec, fixed: Tree, space: Space) -> list[PlannedTrial]:
    """Return trials at every choice and both ends of each parameter of one search.

    Args:
        spec: The study.
        fixed: Values by path that every configuration of the search has.
        space: What it varies.

    Raises:
        ConfigError: One is no valid trial.
    """
    assert isinstance(spec.design, SearchingDesign)
    trials = []
    for path, parameter in space.items():
        for value in ends_of(parameter):
            values = {**fixed, **_lowest_that_meets(path, space, spec.design.when), path: value}
            config, resources = configure(spec, values, values)
            _check_is_a_range(spec.design, path, parameter, config)
            seed = spec.seed_values[0]
            trial_id = trial_fingerprint(config, seed, resources)
            trials.append(PlannedTrial(trial_id, config, seed, resources, values))
    return trials


def _check_is_a_range(
    design: SearchingDesign,
    path: str,
    parameter: FloatParameter | IntParameter | CategoricalParameter,
    config: AnyTrial,
) -> None:
    """Check that a field takes what lies between the ends of a range, too."""
    value = look_up(config.model_dump(mode="json"), trial_path(config, path))
    if isinstance(parameter, FloatParameter) and not isinstance(value, float):
        arms = design.arms if isinstance(design, TunedComparisonDesign) else {}
        own = next((f"arms.{name}." for name, arm in arms.items() if path in arm.space), "")
        field = f"design.{own}space.{path}.kind"
        raise ConfigError(field, "float", f"{path} takes whole numbers", "use kind: int")


def _lowest_that_meets(path: str, space: Space, when: Mapping[str, Where]) -> Tree:
    """Return values of the parameters that another one depends on, at which it has a meaning."""
    values: Tree = {}
    for other, wanted in when.get(path, {}).items():
        values |= {**_lowest_that_meets(other, space, when), other: as_levels(wanted)[0]}
    return values


def by_resources(trials: Iterable[PlannedTrial]) -> dict[Resources, list[PlannedTrial]]:
    """Group trials by resources, in plan order."""
    groups: dict[Resources, list[PlannedTrial]] = {}
    for trial in trials:
        groups.setdefault(trial.resources, []).append(trial)
    return groups


def _design_points(design: FixedDesign | MinimumEffectiveDesign) -> Iterator[tuple[Tree, Tree]]:
    """Yield the levels of each design point and the values they stand for, both by path."""
    match design:
        case GridDesign():
            yield from ((point, point) for point in grid_points(design))
        case AblationDesign():
            for point in crossed(design.factors):
                for name, changes in design.changes().items():
                    yield {VARIANT: name} | point, point | changes
        case MinimumEffectiveDesign():
            yield from (({design.factor: level}, {design.factor: level}) for level in design.levels)


def grid_points(grid: GridDesign) -> list[dict[str, Any]]:
    """Return the combinations of a grid's levels, in the order of the file, each once.

    A factor whose condition is not met is left out of a combination, as is one whose condition names a
    left-out factor.
    """
    points: dict[str, dict[str, Any]] = {}
    for point in crossed(grid.factors):
        while True:
            left_out = [
                path for path, where in grid.when.items() if path in point and not meets(point, where)
            ]
            if not left_out:
                break
            for path in left_out:
                del point[path]
        key = json.dumps(point, sort_keys=True, default=str)
        if key not in points and not any(meets(point, where) for where in grid.skip):
            points[key] = point
    if not points:
        raise ConfigError("design.skip", len(grid.skip), "nothing is left to run", "skip fewer combinations")
    return list(points.values())


def configure(spec: StudySpec, values: Tree, point: Tree) -> tuple[AnyTrial, Resources]:
    """Return the base trial and its resources with some values changed; errors name the design point."""
    origin = ", ".join(f"{path} = {level}" for path, level in point.items())
    tree, resources = spec.trial.model_dump(mode="json"), spec.resources.model_dump(mode="json")
    kind = type(spec.trial)
    for path in sorted(values, key=selectors_first):
        section, _, field = path.partition(".")
        if section == _RESOURCES:
            if not field:
                problem = f"no field of it is named (design point {origin})"
                raise ConfigError(section, values[path], problem, "vary one, such as resources.workers")
            resources = assign(resources, field, values[path], Resources)
        else:
            tree = assign(tree, trial_path(spec.trial, path), values[path], kind)
    config, placed = parse_trial(tree, origin), parse_resources(resources, origin)
    if isinstance(config, TrialConfig) and config.optim.batch_size < placed.workers:
        problem = f"smaller than resources.workers = {placed.workers} (design point {origin})"
        raise ConfigError(
            "trial.optim.batch_size", config.optim.batch_size, problem, f"use at least {placed.workers}"
        )
    if isinstance(config, TrialConfig) and config.tf32 is not None and not placed.gpus_per_worker:
        problem = f"only GPUs have it, resources.gpus_per_worker is 0 (design point {origin})"
        raise ConfigError("trial.tf32", config.tf32, problem, "leave it out, or use a GPU")
    return config, placed


def _check_distinct_points(trials: Sequence[PlannedTrial]) -> None:
    seen: dict[str, PlannedTrial] = {}
    for trial in trials:
        twin = seen.setdefault(trial.trial_id, trial)
        if twin is not trial:
            levels = ", ".join(f"{path} = {level}" for path, level in trial.factors.items())
            same = ", ".join(f"{path} = {level}" for path, level in twin.factors.items())
            problem = f"the same trial as {same}"
            raise ConfigError("design", levels, problem, "change something, or leave one of them out")


def _check_arms_differ(trial: AnyTrial, design: TunedComparisonDesign) -> None:
    base = trial.model_dump(mode="json")
    made: dict[str, str] = {}
    for name, arm in design.arms.items():
        own = {
            path: value for path, value in arm.set.items() if look_up(base, trial_path(trial, path)) != value
        }
        same = made.setdefault(repr((sorted(own.items()), arm.space, arm.factors)), name)
        if same != name:
            problem = f"the same as arm {same!r}, so there is nothing to compare"
            raise ConfigError(f"design.arms.{name}", arm.set, problem, "leave it out, or change it")
