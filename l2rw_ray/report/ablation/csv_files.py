"""Design points and comparisons as CSV, at full precision and in the units of the ledger."""

import csv
import io
from collections.abc import Iterator, Sequence

from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.report.ablation.summary import Ablation, Interaction
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.points import SUMMARISED
from l2rw_ray.statistics import Interval


def render_csv(summary: Ablation) -> str:
    """Return a row per design point: factors, method, and number of seeds, mean and 95 % limits by metric."""
    shown = [name for name in SUMMARISED if any(name in point.intervals for point in summary.points)]
    paths = [factor.path for factor in summary.factors]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    suffixes = ("n", "mean", "low", "high")
    columns = [f"{name}_{suffix}" for name in shown for suffix in suffixes]
    has_arm_column = VARIANT not in paths  # else the variant says more than its method
    writer.writerow([*paths, *(["arm"] if has_arm_column else []), "method.name", "timing_usable", *columns])
    for point in summary.points:
        levels = [point.setting.level(path) for path in paths]
        writer.writerow(
            [
                *levels,
                *([point.method] if has_arm_column else []),
                point.method_used,
                point.timing_usable,
                *_metric_columns(point, shown),
            ]
        )
    return text.getvalue()


_EVIDENCE = ("bootstrap_low", "bootstrap_high", "hedges_g", "p", "p_sign_flip", "p_holm", "family")


def comparisons_csv(summary: Ablation) -> str:
    """Return a row per difference: by setting, averages, interactions, and at equal training time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("kind", "treatment", "control", "where", "figure", "n", "mean", "low", "high", *_EVIDENCE)
    writer.writerow(columns)
    kinds: list[tuple[str, Sequence[Comparison | Interaction]]] = [
        ("setting", summary.comparisons),
        ("average", summary.pooled),
        ("interaction", summary.interactions),
        ("equal time", [result.comparison for result in summary.equal_compute if result.comparison]),
    ]
    for kind, found in kinds:
        for each in found:
            names = (kind, each.treatment, each.control, each.where, each.metric)
            writer.writerow([*names, *_difference(each)])
    return text.getvalue()


def _difference(each: Comparison | Interaction) -> Iterator[object]:
    interval, evidence = each.difference.interval, each.evidence
    yield from _limits(interval)
    bootstrap = evidence.bootstrap if evidence is not None else None
    yield from ("", "") if bootstrap is None else (bootstrap.low, bootstrap.high)
    for name in _EVIDENCE[2:]:
        value = getattr(evidence, {"hedges_g": "effect_size"}.get(name, name), None)
        yield "" if value is None else value


def _limits(interval: Interval | None) -> tuple[object, ...]:
    if interval is None:
        return ("", "", "", "")
    if interval.is_conclusive:
        return (interval.n, interval.mean, interval.low, interval.high)
    return (interval.n, interval.mean, "", "")


def _metric_columns(point: DesignPoint, names: list[str]) -> Iterator[object]:
    """Yield the fields of each metric, empty if the metric or its limits are missing."""
    for name in names:
        yield from _limits(point.intervals.get(name))
