"""Data of the plots: the headline metric along each factor, and curves over epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from l2rw_ray.report.ablation.summary import Curve, Effect, EffectPoint
from l2rw_ray.report.comparisons.contrast import Contrast, in_common, lines_of
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.labels import HEADLINE, metric_spec_for
from l2rw_ray.report.design_points.points import METHOD_FACTOR, Outcome
from l2rw_ray.report.design_points.setting import Factor, Setting
from l2rw_ray.results import Epochs
from l2rw_ray.statistics import mean_interval


@dataclass(frozen=True, slots=True)
class History:
    """A metric of one trial at the ends of its epochs.

    Attributes:
        epochs: Epochs trained.
        times_s: Wall time since its start, evaluation included.
        values: Value of the metric.
    """

    epochs: tuple[float, ...]
    times_s: tuple[float, ...]
    values: tuple[float, ...]


Histories = Mapping[tuple[str, Setting, int], History]
"""By method, setting and seed."""


def effects_of(
    contrast: Contrast,
    methods: Sequence[str],
    factors: Sequence[Factor],
    points: Sequence[DesignPoint],
    metric: str = HEADLINE,
) -> tuple[Effect, ...]:
    """Return the headline metric along each factor, or by method if nothing else varies."""
    if not factors:
        effect_points = tuple(
            EffectPoint(point.method, point.method, point.intervals[metric])
            for point in points
            if metric in point.intervals
        )
        return (Effect(Factor(METHOD_FACTOR, tuple(methods)), effect_points),)
    measured = [point for point in points if metric in point.by_seed]
    return tuple(
        Effect(factor, _effect_points(factor, lines_of(contrast, methods, measured, factor), metric))
        for factor in factors
    )


def _effect_points(
    factor: Factor, lines: Mapping[str, Sequence[DesignPoint]], metric: str
) -> tuple[EffectPoint, ...]:
    effect_points = []
    for method, points in lines.items():
        groups = [
            [point for point in points if _stands_at(point.setting, factor, level)] for level in factor.levels
        ]
        for level, group in zip(factor.levels, in_common(groups, factor.path), strict=True):
            by_seed = [point.by_seed[metric] for point in group]
            shared = set(by_seed[0]).intersection(*by_seed[1:]) if by_seed else set()
            if shared:
                means = [fmean(values[seed] for values in by_seed) for seed in sorted(shared)]
                effect_points.append(
                    EffectPoint(method, level, metric_spec_for(metric).within(mean_interval(means)))
                )
    return tuple(effect_points)


def _stands_at(setting: Setting, factor: Factor, level: Any) -> bool:
    """Return whether a setting has this level, or lacks the factor."""
    own = dict(setting.levels)
    return factor.path not in own or own[factor.path] == level


def histories_of(outcomes: Sequence[Outcome], epochs: Epochs, metric: str) -> Histories:
    """Return the metric per epoch of each completed trial that has it, in plan order."""
    if metric not in epochs.metrics:
        return {}
    found = {}
    for outcome in outcomes:
        place = epochs.places.get(outcome.trial_id) if outcome.is_completed else None
        history = None if place is None else _history(epochs, place, metric)
        if history is not None:
            found[outcome.method, outcome.setting, outcome.seed] = history
    return found


def _history(epochs: Epochs, place: slice, metric: str) -> History | None:
    """Return the epochs with a finite value, with cumulative times; None if there are none."""
    order = np.argsort(epochs.epoch[place], kind="stable")
    values = epochs.metrics[metric][place][order]
    known = np.isfinite(values)
    if not known.any():
        return None
    times_s = np.cumsum(epochs.duration_s[place][order])
    columns = (epochs.epoch[place][order][known], times_s[known], values[known])
    return History(*(tuple(column.tolist()) for column in columns))


def curves_of(histories: Histories, metric: str) -> tuple[Curve, ...]:
    """Return a metric per epoch over seeds, by method and setting, in plan order."""
    groups: dict[tuple[str, Setting], list[History]] = {}
    for (method, setting, _), history in histories.items():
        groups.setdefault((method, setting), []).append(history)
    return tuple(_curve(method, setting, seeds, metric) for (method, setting), seeds in groups.items())


def _curve(method: str, setting: Setting, seeds: Sequence[History], metric: str) -> Curve:
    shared = set(seeds[0].epochs).intersection(*(seed.epochs for seed in seeds[1:]))
    epochs = tuple(sorted(shared))
    values = [dict(zip(seed.epochs, seed.values, strict=True)) for seed in seeds]
    times = [dict(zip(seed.epochs, seed.times_s, strict=True)) for seed in seeds]
    return Curve(
        method=method,
        setting=setting,
        epochs=epochs,
        times_s=tuple(fmean(seed[epoch] for seed in times) for epoch in epochs),
        intervals=tuple(
            metric_spec_for(metric).within(mean_interval(seed[epoch] for seed in values)) for epoch in epochs
        ),
        metric=metric,
    )
