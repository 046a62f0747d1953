"""Tables of differences with their uncertainty."""

from collections.abc import Sequence

from l2rw_ray.report.ablation.summary import Ablation, Interaction
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.design_points.labels import MINUS, p_text
from l2rw_ray.report.design_points.setting import short_names
from l2rw_ray.report.document.interval_cells import EMPTY, difference_cell
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.statistics.bootstrap import MIN_SEEDS
from l2rw_ray.statistics.intervals import is_constant

_EFFECT_SIZE = "g"
CORRECTED = (
    "p: paired t test, corrected so that one error rate of 5 % covers the whole report. The finding is "
    "tested first, then the other averages, then settings and equal training time, then what they depend "
    "on, each with what those before it have earned. Bold: p < 0.05."
)


def difference_table(summary: Ablation) -> Table | None:
    """Return paired differences to the control, settings before averages; None if there are none."""
    shown = shown_comparisons(summary)
    if not shown:
        return None
    corner, names = _names(shown)
    columns, rows = _rows(list(zip(names, shown, strict=True)))
    return Table(
        key="differences",
        title=f"Difference to {summary.control} in {summary.metric_spec.label}{_unit(shown[0])}",
        corner=corner,
        columns=columns,
        rows=rows,
        note=_note(shown),
    )


def shown_comparisons(summary: Ablation) -> list[Comparison]:
    """Return all comparisons by treatment, with the average of treatments in several settings."""
    shown = []
    for pooled in summary.pooled:
        own = [each for each in summary.comparisons if each.treatment == pooled.treatment]
        shown += own
        if has_averages(summary) and (pooled.settings > 1 or pooled.settings < pooled.planned_settings):
            shown.append(pooled)
    return shown


def has_averages(summary: Ablation) -> bool:
    """Return whether averages over settings add to the comparisons themselves."""
    return any(pooled.settings > 1 for pooled in summary.pooled)


def interaction_table(summary: Ablation) -> Table | None:
    """Return how differences change with other factors; None if there is nothing to show."""
    shown = summary.interactions
    if not shown:
        return None
    factors = {each.factor for each in shown}
    is_one = len(factors) == 1 and min(factors) != ""
    columns, rows = _rows(
        [(f"{each.treatment}, {each.what + each.part if is_one else each.where}", each) for each in shown]
    )
    return Table(
        key="interactions",
        title=f"What the difference to {summary.control} depends on{_unit(shown[0])}",
        corner=f"compared, {min(factors)}" if is_one else "compared, case against case",
        columns=columns,
        rows=rows,
        note="The difference in the first case minus that in the second, averaged over the other factors. "
        + _note(shown),
    )


def _rows(
    named: Sequence[tuple[str, Comparison | Interaction]],
) -> tuple[tuple[str, ...], tuple[TableRow, ...]]:
    """Return headings and rows, without empty columns."""
    columns = ("difference", "bootstrap", _EFFECT_SIZE, "p (corrected)")
    cells = [_cells(each) for _, each in named]
    kept = [
        place
        for place in range(len(columns))
        if (place != 1 and place != 2) or any(row[place] is not EMPTY for row in cells)
    ]
    rows = tuple(
        TableRow(name, tuple(row[place] for place in kept))
        for (name, _), row in zip(named, cells, strict=True)
    )
    return tuple(columns[place] for place in kept), rows


def _cells(each: Comparison | Interaction) -> tuple[TableCell, ...]:
    interval, evidence, metric_spec = each.difference.interval, each.evidence, each.metric_spec
    if interval is None or evidence is None:
        return (EMPTY,) * 4
    bootstrap, size = evidence.bootstrap, evidence.effect_size
    return (
        difference_cell(metric_spec, interval, is_clear=evidence.is_clear),
        EMPTY if bootstrap is None else TableCell(metric_spec.signed_limits(bootstrap)),
        EMPTY if size is None else TableCell(f"{size:+.1f}".replace("-", MINUS)),
        TableCell(p_text(evidence.p_corrected)),
    )


def _names(shown: Sequence[Comparison]) -> tuple[str, list[str]]:
    """Return a heading and the names of comparisons below it."""
    settings = [each.setting for each in shown if each.setting is not None and each.setting.levels]
    heading, short = short_names(settings)
    text = dict(zip(settings, short, strict=True))
    names = []
    for each in shown:
        if each.setting is None:
            averaged = f"average of {each.settings}" if each.settings > 1 else "average"
            names.append(f"{each.treatment}, {averaged}")
        else:
            names.append(f"{each.treatment}, {text[each.setting]}" if each.setting.levels else each.treatment)
    return f"compared, {heading}" if settings else "compared", names


def _unit(each: Comparison | Interaction) -> str:
    return " (points)" if each.metric_spec.is_share else each.metric_spec.direction


def _note(shown: Sequence[Comparison | Interaction]) -> str:
    seeds = max((each.difference.interval.n for each in shown if each.difference.interval), default=0)
    if seeds < 2:
        return (
            "One seed: nothing can be concluded." if seeds else "No pair of equal seed: nothing to compare."
        )
    sentences = ["Paired by seed; 95 % t interval, number of pairs."]
    if any(each.difference.example_error is not None for each in shown):
        sentences.append("Intervals and p values are over seeds and test examples.")
    if any(each.evidence is not None and each.evidence.effect_size is not None for each in shown):
        sentences.append("g: effect size, the difference in standard deviations between seeds (Hedges).")
    if any(each.evidence is not None and each.evidence.bootstrap is not None for each in shown):
        sentences.append("Bootstrap: 95 % BCa limits over seeds, too narrow with few seeds.")
    else:
        sentences.append(f"Bootstrap intervals need {MIN_SEEDS} seeds.")
    if any(is_constant(each.difference.values) for each in shown):
        sentences.append("A difference that is the same at every seed has no p value: its error is unknown.")
    if any(each.evidence is not None and each.evidence.p is not None for each in shown):
        sentences.append(CORRECTED)
    return " ".join(sentences)
