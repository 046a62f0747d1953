"""A design in words, for whoever reads a plan."""

from collections.abc import Mapping, Sequence
from typing import Any

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.effective import MinimumEffectiveDesign
from l2rw_ray.config.search import Budget, SearchDesign
from l2rw_ray.config.space import CategoricalParameter, FloatParameter, IntParameter, Space
from l2rw_ray.config.tuned import TunedComparisonDesign


def describe_design(spec: StudySpec, planned: Sequence[PlannedTrial]) -> list[str]:
    """What is varied, and how many trials that makes, as lines."""
    seeds = len(spec.seed_values)
    match spec.design:
        case SearchDesign() as design:
            return [
                *_space_lines(design.space),
                f"{_budget_text(design.budget)} by {design.sampler}, each at {_count(seeds, 'seed')}",
            ]
        case TunedComparisonDesign() as design:
            arms = [
                line
                for name in design.arms
                for line in (
                    f"  {name}",
                    *_factor_lines(design.factors | design.arms[name].factors, 4),
                    *_space_lines(design.space_of(name), 4),
                )
            ]
            searches = sum(len(design.points_of(name)) for name in design.arms)
            each = "arms" if searches == len(design.arms) else "pairs of arm and level"
            tried = f"{_budget_text(design.budget)} by {design.sampler} for each of {searches} {each}"
            searched = f"{tried}, at {_count(len(design.search_seeds), 'seed')}"
            return [*arms, f"{searched}; then the best of each at {_count(seeds, 'fresh seed')}"]
        case MinimumEffectiveDesign() as design:
            levels = ", ".join(map(str, design.levels))
            rule = f"the {design.seek} that is not worse than the best by more than {design.margin:g}"
            return [f"  {design.factor}: {levels}", f"{rule}; {seeds} to {design.most_seeds} seeds a level"]
    points = len(planned) // seeds
    lines = _factor_lines(_levels(planned))
    return [
        *lines,
        f"{_count(points, 'design point')} × {_count(seeds, 'seed')} = {_count(len(planned), 'trial')}",
    ]


def _factor_lines(factors: Mapping[str, Sequence[Any]], indent: int = 2) -> list[str]:
    return [f"{' ' * indent}{path}: {', '.join(map(str, levels))}" for path, levels in factors.items()]


def _space_lines(space: Space, indent: int = 2) -> list[str]:
    return [f"{' ' * indent}{path}: {_range_text(parameter)}" for path, parameter in space.items()]


def _range_text(parameter: FloatParameter | IntParameter | CategoricalParameter) -> str:
    if isinstance(parameter, CategoricalParameter):
        return ", ".join(map(str, parameter.choices))
    return f"{parameter.low:g} to {parameter.high:g}{', on a log scale' if parameter.log else ''}"


def _budget_text(budget: Budget) -> str:
    limits = []
    if budget.trials is not None:
        limits.append(_count(budget.trials, "configuration"))
    if budget.hours is not None:
        limits.append(f"{budget.hours:g} h of training")
    return " or ".join(limits)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _levels(planned: Sequence[PlannedTrial]) -> dict[str, list[Any]]:
    """Levels by factor, as they are run, in plan order."""
    levels: dict[str, list[Any]] = {}
    for trial in planned:
        for path, level in trial.factors.items():
            seen = levels.setdefault(path, [])
            if level not in seen:
                seen.append(level)
    return levels
