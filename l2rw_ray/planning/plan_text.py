"""The plan of a study as text for the terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from l2rw_ray.config import PlannedTrial, Stage, StudySpec
from l2rw_ray.config.design.minimum_effective import MinimumEffectiveDesign
from l2rw_ray.config.design.search import Budget, SearchDesign
from l2rw_ray.config.design.space import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Space,
    range_text,
)
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.config.functions.metrics import is_percent
from l2rw_ray.config.planned_trial import level_text
from l2rw_ray.planning.durations import duration_text
from l2rw_ray.planning.plan_summary import PlanSummary

if TYPE_CHECKING:
    from l2rw_ray.planning.primary_power import Detectable

_UNITS = {
    "workers": ("worker", ""),
    "cpus_per_worker": ("CPU", " each"),
    "gpus_per_worker": ("GPU", " each"),
}
"""Unit and suffix of each field of resources."""


def plan_text(seen: PlanSummary) -> str:
    """Return the summary as text for the terminal."""
    spec = seen.spec
    lines = [f"{spec.name}: {spec.question}", *describe_design(spec, seen.planned)]
    bound = "as many as the hours allow" if seen.to_run is None else f"{_at_most(seen)}{seen.to_run}"
    lines.append(f"{seen.done} done, {bound} to run, {_at_a_time(seen)}")
    lines.append(f"estimated {_estimate(seen)} (from {seen.basis})")
    if seen.over_limit:
        lines.append(f"warning: {seen.over_limit}")
    lines += [f"warning: {change}" for change in seen.changes]
    if seen.detectable is not None:
        found = seen.detectable
        lines.append(
            f"the finding's {found.seeds} seeds show {_difference(seen, found)} in four cases of five"
        )
    if seen.variation is not None:
        lines.append(seen.variation)
    return "\n".join(lines)


def _at_a_time(seen: PlanSummary) -> str:
    groups, total = seen.groups, f"{seen.groups_at_a_time} at a time"
    if len(groups) == 1:
        return total
    differing = [field for field in _UNITS if len({getattr(own, field) for own in groups}) > 1]
    most = (
        f"{count} of {' and '.join(_amount(field, getattr(own, field)) for field in differing)}"
        for own, count in groups.items()
    )
    return f"{total} (up to {', '.join(most)})"


def _amount(field: str, number: float) -> str:
    unit, suffix = _UNITS[field]
    return f"{number:g} {unit}{'s' * (number != 1)}{suffix}"


def _difference(seen: PlanSummary, found: "Detectable") -> str:
    """Return the smallest and the largest difference that so many seeds may need to be shown."""
    name = found.metric.replace("_", " ")
    if _is_share(seen.spec, found.metric):
        return f"differences of {100 * found.low:.1f} to {100 * found.high:.1f} points of {name}"
    return f"differences of {found.low:.2g} to {found.high:.2g} in {name}"


def _is_share(spec: StudySpec, metric: str) -> bool:
    declared = is_percent(metric, spec.metrics)
    return metric.endswith("accuracy") if declared is None else declared


def _at_most(seen: PlanSummary) -> str:
    return "at most " if seen.remaining else ""


def _estimate(seen: PlanSummary) -> str:
    if seen.trial_s is None or seen.duration_s is None:
        return "time unknown"
    hours = f"{seen.core_hours:.2f} core-hours"
    if seen.gpu_hours:
        hours += f", {seen.gpu_hours:.2f} GPU-hours"
    return f"{seen.trial_s:.1f} s per trial, {duration_text(seen.duration_s)} in all, {hours}"


def describe_design(spec: StudySpec, planned: Sequence[PlannedTrial]) -> list[str]:
    """Return lines that say what is varied and how many trials that makes."""
    seeds = len(spec.seed_values)
    match spec.design:
        case SearchDesign() as design:
            return [
                *_space_lines(design.space),
                f"{_budget_text(design.budget)}{_configurations(design.budget, design.space)} by "
                f"{design.sampler}, each at {_count(seeds, 'seed')}",
            ]
        case TunedComparisonDesign() as design:
            arms = [
                line
                for name in design.arms
                for line in (
                    f"  {name}{_configurations(design.budget, design.space_of(name))}",
                    *_factor_lines(design.factors | design.arms[name].factors, 4),
                    *_space_lines(design.space_of(name), 4),
                )
            ]
            searches = sum(len(design.points_of(name)) for name in design.arms)
            each = "arms" if searches == len(design.arms) else "pairs of arm and level"
            times = "" if design.searches == 1 else f", {_count(design.searches, 'search')[:-1]}es of each"
            tried = f"{_budget_text(design.budget)} by {design.sampler} for each of {searches} {each}{times}"
            searched = f"{tried}, at {_count(len(design.search_seeds), 'seed')}"
            unequal = []
            if design.unequal_spaces:
                unequal = [
                    f"note: one budget for different numbers of parameters ({design.unequal_spaces}) "
                    "searches larger spaces less closely; budget.trials_per_parameter gives them more"
                ]
            tested = f"{searched}; then the best of each at {_count(seeds, 'fresh seed')}"
            further = [_looks_text(spec)] if spec.looks > 1 else []
            if spec.retest_seeds:
                again = _count(searches * len(spec.retest_seeds), "further trial")
                further.append(f"what each search chose again at another seed: {again}")
            return [*arms, tested, *further, *unequal]
        case MinimumEffectiveDesign() as design:
            levels = ", ".join(map(str, design.levels))
            metric, is_share = spec.objective.metric, _is_share(spec, spec.objective.metric)
            size = f"{100 * design.margin:g} points" if is_share else f"{design.margin:g}"
            margin = f"{size} of {metric.replace('_', ' ')}"
            rule = f"the {design.seek} that is not worse than the best by more than {margin}"
            return [f"  {design.factor}: {levels}", f"{rule}; {seeds} to {design.most_seeds} seeds a level"]
    lines = _factor_lines(_levels(planned))
    if spec.looks > 1:
        seeds = sum(trial.factors == planned[0].factors for trial in planned) if planned else seeds
        lines.append(_looks_text(spec))
    finals = sum(trial.stage is Stage.FINAL for trial in planned)
    lines.append(
        f"{_count(finals // seeds, 'design point')} × {_count(seeds, 'seed')} = {_count(finals, 'trial')}"
    )
    if spec.redrawn:
        again = _count(len(planned) - finals, "further trial")
        lines.append(f"each again with another {', another '.join(spec.redrawn)}: {again}")
    return lines


def _looks_text(spec: StudySpec) -> str:
    return f"looks at {', '.join(map(str, spec.look_sizes))} seeds, ends once the finding is shown"


def _factor_lines(factors: Mapping[str, Sequence[Any]], indent: int = 2) -> list[str]:
    return [f"{' ' * indent}{path}: {', '.join(map(level_text, levels))}" for path, levels in factors.items()]


def _space_lines(space: Space, indent: int = 2) -> list[str]:
    return [f"{' ' * indent}{path}: {_range_text(parameter)}" for path, parameter in space.items()]


def _range_text(parameter: FloatParameter | IntParameter | CategoricalParameter) -> str:
    if isinstance(parameter, CategoricalParameter):
        return ", ".join(map(level_text, parameter.choices))
    return f"{range_text(parameter)}{', on a log scale' if parameter.log else ''}"


def _budget_text(budget: Budget) -> str:
    limits = []
    if budget.trials_per_parameter is not None:
        limits.append(f"{_count(budget.trials_per_parameter, 'configuration')} per parameter")
    if budget.trials is not None:
        limits.append(_count(budget.trials, "configuration"))
    if budget.hours is not None:
        limits.append(f"{budget.hours:g} h of training")
    return " or ".join(limits)


def _configurations(budget: Budget, space: Space) -> str:
    """Return how many configurations a budget per parameter makes of a space; empty for another budget."""
    if budget.trials_per_parameter is None:
        return ""
    return f" ({_count(budget.trials_per_parameter * len(space), 'configuration')})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _levels(planned: Sequence[PlannedTrial]) -> dict[str, list[Any]]:
    """Return the levels of each factor in plan order."""
    levels: dict[str, list[Any]] = {}
    for trial in planned:
        for path, level in trial.factors.items():
            seen = levels.setdefault(path, [])
            if level not in seen:
                seen.append(level)
    return levels
