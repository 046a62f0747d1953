"""Design points and comparisons as CSV, at full precision and in the units of the ledger."""

from collections.abc import Iterator, Sequence

from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.report.ablation.summary import Ablation, Interaction
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.design_points.labels import WEIGHT_METRICS
from l2rw_ray.report.document.csv_text import LIMITS, csv_text, interval_fields


def render_csv(summary: Ablation) -> str:
    """Return a row per design point: factors, method, and number of seeds, mean and 95 % limits by metric."""
    names = dict.fromkeys((*summary.results, *WEIGHT_METRICS, *summary.costs))
    shown = [name for name in names if any(name in point.intervals for point in summary.points)]
    paths = [factor.path for factor in summary.factors]
    has_arm_column = VARIANT not in paths  # else the variant says more than its method
    arm = ["arm"] if has_arm_column else []
    columns = [f"{name}_{suffix}" for name in shown for suffix in LIMITS]
    rows = (
        [
            *(point.setting.level(path) for path in paths),
            *([point.method] if has_arm_column else []),
            point.method_used,
            point.timing_usable,
            *(field for name in shown for field in interval_fields(point.intervals.get(name))),
        ]
        for point in summary.points
    )
    return csv_text([*paths, *arm, "method.name", "timing_usable", *columns], rows)


_EVIDENCE = ("bootstrap_low", "bootstrap_high", "hedges_g", "p", "p_sign_flip", "p_corrected", "family")


def comparisons_csv(summary: Ablation) -> str:
    """Return a row per difference: by setting, averages, interactions, and at equal training time."""
    kinds: list[tuple[str, Sequence[Comparison | Interaction]]] = [
        ("setting", summary.comparisons),
        ("average", summary.pooled),
        ("interaction", summary.interactions),
        ("equal time", [result.comparison for result in summary.equal_compute if result.comparison]),
    ]
    rows = (
        [kind, each.treatment, each.control, each.where, each.metric, *_difference(each)]
        for kind, found in kinds
        for each in found
    )
    # "figure": name kept from release 0.1
    columns = ["kind", "treatment", "control", "where", "figure", *LIMITS, *_EVIDENCE, "test_examples"]
    return csv_text(columns, rows)


def _difference(each: Comparison | Interaction) -> Iterator[object]:
    interval, evidence = each.difference.interval, each.evidence
    yield from interval_fields(interval)
    bootstrap = evidence.bootstrap if evidence is not None else None
    yield from ("", "") if bootstrap is None else (bootstrap.low, bootstrap.high)
    for name in _EVIDENCE[2:]:
        value = getattr(evidence, {"hedges_g": "effect_size"}.get(name, name), None)
        yield "" if value is None else value
    error = each.difference.example_error
    yield "" if error is None else error.examples
