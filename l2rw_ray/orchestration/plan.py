"""From a study to the explicit list of its trials."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from l2rw_ray.config import (
    AblationDesign,
    GridDesign,
    PlannedTrial,
    StudySpec,
    TrialConfig,
    trial_fingerprint,
)
from l2rw_ray.config.design import VARIANT, as_levels
from l2rw_ray.config.loading import parse_trial
from l2rw_ray.config.variants import Tree, assign
from l2rw_ray.errors import ConfigError

_SELECTORS = ("source", "name", "kind")
"""Keys that choose a section's variant, and with it which other keys the section has."""


def plan_study(spec: StudySpec) -> tuple[PlannedTrial, ...]:
    """Every trial of a study: design points in the order of the file, each at every seed.

    Args:
        spec: The study.

    Raises:
        ConfigError: A combination of levels is no valid trial, or two combinations are the same.
    """
    base = spec.trial.model_dump(mode="json")
    trials = [
        PlannedTrial(
            trial_id=trial_fingerprint(config, seed, spec.resources),
            config=config,
            seed=seed,
            resources=spec.resources,
            factors=levels,
        )
        for levels, config in _design_points(base, spec)
        for seed in spec.seed_values
    ]
    _refuse_twins(trials)
    return tuple(trials)


def _design_points(base: Tree, spec: StudySpec) -> Iterator[tuple[dict[str, Any], TrialConfig]]:
    """Levels and configuration of each design point."""
    match spec.design:
        case GridDesign() as grid:
            for point in grid_points(grid):
                yield point, _configure(base, point, point)
        case AblationDesign() as ablation:
            for levels in product(*ablation.factors.values()):
                point = dict(zip(ablation.factors, levels, strict=True))
                for name, changes in ablation.changes().items():
                    yield {VARIANT: name} | point, _configure(base, point | changes, {VARIANT: name} | point)


def grid_points(grid: GridDesign) -> list[dict[str, Any]]:
    """The combinations of a grid's levels, in the order of the file, each once.

    A factor whose condition is not met is left out of a combination; one whose condition names a
    factor that is left out is left out too.
    """
    points: list[dict[str, Any]] = []
    for levels in product(*grid.factors.values()):
        point = dict(zip(grid.factors, levels, strict=True))
        while True:
            left_out = [
                path for path, where in grid.when.items() if path in point and not _meets(point, where)
            ]
            if not left_out:
                break
            for path in left_out:
                del point[path]
        if point not in points and not any(_meets(point, where) for where in grid.skip):
            points.append(point)
    if not points:
        raise ConfigError("design.skip", len(grid.skip), "nothing is left to run", "skip fewer combinations")
    return points


def _meets(point: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    return all(path in point and point[path] in as_levels(wanted) for path, wanted in where.items())


def _configure(base: Tree, values: Mapping[str, Any], point: Mapping[str, Any]) -> TrialConfig:
    """The base with some values changed; the point it belongs to is named in errors."""
    tree = base
    for path in sorted(values, key=_selectors_first):
        tree = assign(tree, path, values[path], TrialConfig)
    return parse_trial(tree, ", ".join(f"{path} = {level}" for path, level in point.items()))


def _selectors_first(path: str) -> tuple[int, bool]:
    """Sections before what is in them, and a section's variant before its other keys."""
    *parents, last = path.split(".")
    return len(parents), last not in _SELECTORS


def _refuse_twins(trials: Sequence[PlannedTrial]) -> None:
    seen: dict[str, PlannedTrial] = {}
    for trial in trials:
        twin = seen.setdefault(trial.trial_id, trial)
        if twin is not trial:
            levels = ", ".join(f"{path} = {level}" for path, level in trial.factors.items())
            same = ", ".join(f"{path} = {level}" for path, level in twin.factors.items())
            problem = f"the same trial as {same}"
            raise ConfigError("design", levels, problem, "change something, or leave one of them out")
