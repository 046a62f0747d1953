"""What is drawn along an axis: the headline figure along each factor, and curves over epochs."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from l2rw_ray.report.labels import HEADLINE, MEASURES, validation_figure
from l2rw_ray.report.points import ARM_FACTOR, Outcome
from l2rw_ray.report.summary import Cell, Curve, Effect, EffectPoint, Factor, Setting
from l2rw_ray.statistics import mean_interval

EpochRow = Mapping[str, Any]


def effects_of(
    arms: Sequence[str], factors: Sequence[Factor], cells: Sequence[Cell], figure: str = HEADLINE
) -> tuple[Effect, ...]:
    """The headline figure along each factor, or over the arms of a design that varies nothing else."""
    if not factors:
        points = tuple(
            EffectPoint(cell.arm, cell.arm, cell.intervals[figure])
            for cell in cells
            if figure in cell.intervals
        )
        return (Effect(Factor(ARM_FACTOR, tuple(arms)), points),)
    return tuple(Effect(factor, _points(factor, arms, cells, figure)) for factor in factors)


def _points(
    factor: Factor, arms: Sequence[str], cells: Sequence[Cell], figure: str
) -> tuple[EffectPoint, ...]:
    points = []
    for arm in arms:
        for level in factor.levels:
            samples = [
                cell.samples[figure]
                for cell in cells
                if cell.arm == arm and _stands_at(cell.setting, factor, level) and figure in cell.samples
            ]
            shared = set(samples[0]).intersection(*samples[1:]) if samples else set()
            if shared:
                means = [fmean(sample[seed] for sample in samples) for seed in sorted(shared)]
                points.append(EffectPoint(arm, level, MEASURES[figure].within(mean_interval(means))))
    return tuple(points)


def _stands_at(setting: Setting, factor: Factor, level: Any) -> bool:
    """Whether a setting has this level, or not the factor at all."""
    own = dict(setting.levels)
    return factor.path not in own or own[factor.path] == level


def curves_of(
    outcomes: Sequence[Outcome], history: Iterable[EpochRow], figure: str = HEADLINE
) -> tuple[Curve, ...]:
    """Learning curves of the completed trials, per arm and setting, in plan order."""
    metric = validation_figure(figure)
    told: dict[str, dict[int, float]] = {}
    for row in history:
        value = row.get(metric)
        if value is not None:
            told.setdefault(row["trial_id"], {})[row["epoch"]] = value
    groups: dict[tuple[str, Setting], list[Mapping[int, float]]] = {}
    for outcome in outcomes:
        if outcome.is_completed and outcome.trial_id in told:
            groups.setdefault((outcome.arm, outcome.setting), []).append(told[outcome.trial_id])
    return tuple(_curve(arm, setting, seeds) for (arm, setting), seeds in groups.items())


def _curve(arm: str, setting: Setting, seeds: Sequence[Mapping[int, float]]) -> Curve:
    epochs = tuple(sorted(set(seeds[0]).intersection(*seeds[1:])))
    intervals = tuple(mean_interval(seed[epoch] for seed in seeds) for epoch in epochs)
    return Curve(arm, setting, epochs, intervals)
