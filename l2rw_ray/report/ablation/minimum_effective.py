"""Answer of a minimum effective level design."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from l2rw_ray.config import StudySpec
from l2rw_ray.config.design.minimum_effective import MinimumEffectiveDesign
from l2rw_ray.config.study import Objective
from l2rw_ray.report.design_points.labels import MetricSpec, count, factor_name, level_text, metric_spec_for
from l2rw_ray.report.design_points.metric_table import metric_table
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.statistics.minimum_effective import (
    EffectiveLevel,
    LevelVerdict,
    Verdict,
    effective_level,
    is_accuracy,
    look_sizes,
    worst_value,
)
from l2rw_ray.statistics.proportion import largest_unseen_rate


@dataclass(frozen=True)
class EffectiveAnswer:
    """The cheapest level that is enough.

    Attributes:
        finding: The answer in one sentence, without a full stop.
        table: Verdict on each level, with its limits.
    """

    finding: str
    table: Table


def effective_answer(spec: StudySpec, outcomes: Sequence[Outcome]) -> EffectiveAnswer | None:
    """Return the answer from the completed trials; None for another kind of design."""
    design = spec.design
    if not isinstance(design, MinimumEffectiveDesign):
        return None
    by_level = [_values_by_seed(outcomes, spec.objective, design.factor, level) for level in design.levels]
    first = len(spec.seed_values)
    found = effective_level(
        by_level,
        design.margin,
        alpha=1 - design.confidence,
        looks=len(look_sizes(first, max(design.most_seeds, first))),
        cheapest_first=design.seek == "smallest",
        more_is_better=spec.objective.mode == "max",
        widest=1.0 if is_accuracy(spec.objective.metric) else None,
    )
    metric_spec = metric_spec_for(metric_table(spec).named(spec.objective.metric))
    rows = [
        TableRow(level_text(design.factor, level), _cells(design, metric_spec, verdict, len(by_level[place])))
        for place, (level, verdict) in enumerate(zip(design.levels, found.levels, strict=True))
    ]
    table = Table(
        key="enough",
        title=f"How little is enough, by {metric_spec.label}",
        corner=factor_name(design.factor),
        columns=("verdict", f"falls behind by ({metric_spec.unit_of_difference})", "against", "seeds"),
        rows=tuple(rows),
        note=_note(design, metric_spec),
    )
    return EffectiveAnswer(_finding(design, metric_spec, found, [len(each) for each in by_level]), table)


def _values_by_seed(
    outcomes: Sequence[Outcome], objective: Objective, factor: str, level: Any
) -> dict[int, float]:
    own = [outcome for outcome in outcomes if outcome.setting.level(factor) == level]
    found = ((outcome.seed, outcome.metric(objective.metric)) for outcome in own)
    worst = worst_value(objective.metric, objective.mode)
    completed = {seed: value for seed, value in found if value is not None and math.isfinite(value)}
    return completed | {outcome.seed: worst for outcome in own if outcome.has_diverged}


def _finding(
    design: MinimumEffectiveDesign, metric_spec: MetricSpec, found: EffectiveLevel, seeds_of: Sequence[int]
) -> str:
    name = factor_name(design.factor)
    margin = metric_spec.amount(design.margin)
    if all(verdict.verdict is Verdict.UNKNOWN for verdict in found.levels):
        return f"no two levels of {name} have two completed seeds each: nothing can be concluded"
    still_open = ", ".join(level_text(design.factor, design.levels[place]) for place in found.undecided)
    unknown = ", ".join(
        level_text(design.factor, level)
        for level, verdict in zip(design.levels, found.levels, strict=True)
        if verdict.verdict is Verdict.UNKNOWN
    )
    nothing_of = f"; nothing is known of {unknown}" if unknown else ""
    if found.answer is None:
        undecided = f"; open: {still_open}" if still_open else ""
        return f"no {name} is shown to stay within {margin} of all others{undecided}{nothing_of}"
    level = level_text(design.factor, design.levels[found.answer])
    distance = _distance(design, metric_spec, found.levels[found.answer])
    text = (
        f"{name} {level} is enough: not worse than any other level by more than {margin} "
        f"(confidence {100 * design.confidence:g} %){distance}"
    )
    seeds = seeds_of[found.answer]
    text += f"; a failure that strikes up to {100 * largest_unseen_rate(seeds):.0f} % of runs may have gone "
    text += f"unseen with {count(seeds, 'seed')}{nothing_of}"
    return f"{text}; whether {still_open} is enough remains open" if still_open else text


def _distance(design: MinimumEffectiveDesign, metric_spec: MetricSpec, verdict: LevelVerdict) -> str:
    """Return the limits of the shortfall against the strongest rival, in words."""
    if verdict.rival is None:
        return ""
    limits = f"{metric_spec.signed(verdict.shortfall_low)} to {metric_spec.signed(verdict.shortfall_high)}"
    return f", {limits} behind {level_text(design.factor, design.levels[verdict.rival])}"


def _cells(
    design: MinimumEffectiveDesign, metric_spec: MetricSpec, verdict: LevelVerdict, seeds: int
) -> tuple[TableCell, ...]:
    decided = verdict.verdict in (Verdict.ENOUGH, Verdict.WORSE)
    rival = "–" if verdict.rival is None else level_text(design.factor, design.levels[verdict.rival])
    known = not math.isnan(verdict.shortfall_high)
    limits = f"{metric_spec.signed(verdict.shortfall_low)} to {metric_spec.signed(verdict.shortfall_high)}"
    return (
        TableCell(verdict.verdict.value, is_clear=decided),
        TableCell(limits if known else "–"),
        TableCell(rival),
        TableCell(str(seeds)),
    )


def _note(design: MinimumEffectiveDesign, metric_spec: MetricSpec) -> str:
    error, looks = 100 * (1 - design.confidence), count(design.most_seeds, "seed")
    return (
        "Each level against the one it may fall behind most, paired by seed. Enough: behind no other by more "
        f"than {metric_spec.text(design.margin)} {metric_spec.unit_of_difference}. The limits are corrected "
        f"for all levels and all looks up to {looks} (Bonferroni), those of “worse” for all rivals as well. "
        "If differences vary from seed to seed roughly as a normal distribution does, the probability of any "
        f"wrong “enough” is at most {error:g} %, and so is that of any “worse”. It is larger where runs "
        "fail now and then and no seed has shown it yet. A run that diverged counts as the worst; "
        "differences that are equal at every seed leave a level open."
    )
