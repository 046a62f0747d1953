"""From a study to the explicit list of its trials."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from l2rw_ray.config import PlannedTrial, StudySpec, TrialConfig, trial_fingerprint
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
    factors = spec.design.factors
    for levels in product(*factors.values()):
        point = dict(zip(factors, levels, strict=True))
        yield point, _configure(base, point)


def _configure(base: Tree, point: Mapping[str, Any]) -> TrialConfig:
    tree = base
    for path in sorted(point, key=_selectors_first):
        tree = assign(tree, path, point[path], TrialConfig)
    origin = ", ".join(f"{path} = {level}" for path, level in point.items())
    return parse_trial(tree, origin)


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
            raise ConfigError("design.factors", levels, f"the same trial as {same}", "name each level once")
