"""The finding at single settings, drawn together as far as errors explain that they differ."""

from collections.abc import Sequence

import numpy as np

from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.comparisons.contrast import Contrast, pairs_of
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.labels import MetricSpec, count
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.statistics import Interval
from l2rw_ray.statistics.partial_pooling import Posterior, partial_pooling

_FEW = 5
"""Settings from which their mean and scatter in general are known well enough to be printed (Gelman 2006)."""
_SAMPLE = (
    "“Another such setting” supposes that those of the study are a sample of such settings, which levels "
    "along a trend are not."
)
_TOO_FEW = f"Fewer than {_FEW} settings say too little of others to print it."


def pooling_table(
    contrast: Contrast,
    points: Sequence[DesignPoint],
    finding: Comparison | None,
    margin: float | None = None,
) -> Table | None:
    """Return a hierarchical summary of the finding over its settings.

    None with fewer than three settings or seeds, and where the difference at a setting is the same at every
    seed, so that its error is unknown.

    Args:
        contrast: What is compared.
        points: Design points.
        finding: The first comparison, averaged over settings; None where there is none.
        margin: Difference that does not matter, if one was registered.
    """
    if finding is None or finding.difference.ranked:
        return None
    metric, spec = finding.metric, finding.metric_spec
    treatment = next(level for level in contrast.treatments if contrast.name(level) == finding.treatment)
    measured = [point for point in points if metric in point.by_seed]
    pairs = pairs_of(contrast, measured, treatment)
    samples = [point.by_seed[metric] for pair in pairs for point in (pair.treatment, pair.control)]
    seeds = sorted(set(samples[0]).intersection(*samples[1:])) if samples else []
    values = [
        [pair.treatment.by_seed[metric][seed] - pair.control.by_seed[metric][seed] for seed in seeds]
        for pair in pairs
    ]
    found = partial_pooling(np.array(values).reshape(len(pairs), len(seeds)), margin)
    if found is None:
        return None
    rows = [_row(pair.setting.text, own, spec) for pair, own in zip(pairs, found.settings, strict=True)]
    if len(pairs) >= _FEW:
        rows += [
            _row("mean of such settings", found.average, spec),
            _row("another such setting", found.another, spec),
            _deviation_row(found.deviation, spec, with_margin=margin is not None),
        ]
    within = () if margin is None else (f"probability of less than {spec.amount(margin)}",)
    return Table(
        key="partial-pooling",
        title=f"Single settings drawn together: {finding.treatment} against {finding.control}",
        corner="setting",
        columns=("difference", "probability of being better", *within),
        rows=tuple(rows),
        note=(
            f"Posterior medians with 95 % limits, over {count(len(seeds), 'seed')} that all settings have. A "
            "normal hierarchical model with flat priors: differences of settings scatter around a common "
            "mean, and are drawn towards it as far as their errors explain that they differ. Each setting "
            "has errors of its own size. Limits are over seeds: where all seeds or settings share a test "
            "set, the error of its examples is not included. "
            f"{_SAMPLE if len(pairs) >= _FEW else _TOO_FEW} Nothing here is corrected, and it "
            "replaces no row above."
        ),
    )


def _row(name: str, own: Posterior, metric_spec: MetricSpec) -> TableRow:
    limits = metric_spec.signed_limits(Interval(own.middle, own.low, own.high, 2))
    better = 1 - own.above if metric_spec.less_is_better else own.above
    cells = [TableCell(metric_spec.signed(own.middle), limits), _percent(better)]
    return TableRow(name, (*cells, *([] if own.within is None else [_percent(own.within)])))


def _deviation_row(own: Posterior, metric_spec: MetricSpec, *, with_margin: bool) -> TableRow:
    low, middle, high = (metric_spec.text(each) for each in (own.low, own.middle, own.high))
    cells = [
        TableCell(middle, f"{low} to {high}"),
        TableCell("–"),
        *([TableCell("–")] if with_margin else []),
    ]
    return TableRow("deviation between settings", tuple(cells))


def _percent(probability: float) -> TableCell:
    return TableCell(f"{min(max(100 * probability, 0.1), 99.9):.1f} %")
