"""Where the variation of the finding comes from: seeds with one source of randomness, or all, drawn anew."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from l2rw_ray.config.design.tuned_comparison import retest_seed
from l2rw_ray.report.comparisons.contrast import Contrast, Pair, pairs_of, values_of
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.labels import MetricSpec, count, metric_spec_for
from l2rw_ray.report.design_points.metric_table import MetricTable
from l2rw_ray.report.design_points.points import Outcome, design_points_of
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.document.interval_cells import EMPTY
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.report.document.wording import capitalised
from l2rw_ray.statistics.comparisons import seed_differences
from l2rw_ray.statistics.variance_sources import (
    Variance,
    largest_source,
    nested_variances,
    redrawn_variance,
    variance_between,
)

NAMES: Mapping[str, str] = {
    "split": "sets, made noise and imbalance",
    "init": "initial weights",
    "order": "order of batches and the method's draws",
    "search": "search, by what it chose",
    "seed": "seed, with the same choice",
}
_SOURCES = ("split", "init", "order")
_ADVICE: Mapping[str, str] = {
    "split": "seeds have to draw other sets: further runs on the same split would show little of it",
    "init": "runs with other initial weights show most of it, also on the same split",
    "order": "runs in another order show most of it, also on the same split with the same initial weights",
    "search": "more searches show more of it, more seeds for each would not; a larger budget may narrow it",
    "seed": "more seeds show most of it, and `searches: 1` costs less, with a finding about configurations",
}


_DRAWN = (
    "Each trial ran again at the same seed with one source of randomness drawn anew; half the mean square of "
    "the change is the variance that the source makes, in interaction with others as well, so that shares "
    "may add up to more than 100 %."
)
_RETESTED = (
    "What each search chose was tested once more, on another seed. The variance within a search is that of "
    "seeds; the search makes what its two tests have in common beyond that, with limits of the modified "
    "large-sample method (Ting et al. 1990). Shares need not add up to 100 %."
)
_LEVEL = 0.05


@dataclass(frozen=True)
class Variation:
    """How much the finding's difference varies between seeds, and by which source.

    Attributes:
        treatment: Name of the level that is compared.
        metric: Name of the metric.
        between: Variance between seeds.
        sources: Variance by source; without those of which too many trials diverged.
        left_out: Number of settings that are left out because not every source has results there.
        diverged: Number of trials that diverged with a source drawn anew, by source.
        p: P value of the F test that search and seed make as much; None where sources were drawn anew.
    """

    treatment: str
    metric: str
    between: Variance
    sources: Mapping[str, Variance]
    left_out: int = 0
    diverged: Mapping[str, int] = field(default_factory=dict)
    p: float | None = None

    @property
    def advice(self) -> str:
        """Which source to replicate, in a sentence without a full stop."""
        largest = largest_source(self.sources) if self.p is None else self._search_or_seed
        if largest is None:
            return "no source is shown to make more of the variation than the others: replicate them together"
        name, advice = NAMES[largest], _ADVICE[largest]
        return f"most of the variation comes from the {name}: {advice}"

    @property
    def _search_or_seed(self) -> str | None:
        """Which of the two makes more of the variation; None where the F test leaves it open."""
        if self.p is None or self.p >= _LEVEL:
            return None
        return max(self.sources, key=lambda name: self.sources[name].value)


def variation_of(
    contrast: Contrast,
    outcomes: Sequence[Outcome],
    redrawn: Sequence[Outcome],
    metrics: MetricTable,
    metric: str,
) -> Variation | None:
    """Return the variation of the first treatment's difference; None where nothing was drawn anew.

    Args:
        contrast: What is compared.
        outcomes: Final trials.
        redrawn: Trials with one source of randomness drawn anew.
        metrics: The metrics of the study.
        metric: Name of the headline metric.
    """
    if not contrast.treatments or not redrawn:
        return None
    by_source = {source: [each for each in redrawn if each.redrawn == source] for source in _SOURCES}
    drawn, *of_sources = _pairs(contrast, [outcomes, *by_source.values()], metrics, metric)
    anew = {source: pairs for source, pairs in zip(_SOURCES, of_sources, strict=True) if pairs}
    kept = set(drawn).intersection(*anew.values())  # the gain of another setting is no change of a source
    values = _differences(drawn, kept, metric)
    between = variance_between(values)
    sources: dict[str, Variance] = {}
    for source, pairs in anew.items():
        found = redrawn_variance(values, _differences(pairs, kept, metric))
        if found is not None:
            sources[source] = found
    treatment = contrast.treatments[0]
    lost = Counter(
        each.redrawn or ""
        for each in redrawn
        if each.has_diverged and contrast.level_of(each) in (treatment, contrast.control)
    )
    if between is None or not (sources or lost):
        return None
    left_out = len(drawn) - len(kept)
    return Variation(contrast.name(treatment), metric, between, sources, left_out, diverged=lost)


def search_variation_of(
    contrast: Contrast,
    outcomes: Sequence[Outcome],
    retested: Sequence[Outcome],
    metrics: MetricTable,
    metric: str,
) -> Variation | None:
    """Return how much of the first treatment's difference varies with the search, and how much with the seed.

    Args:
        contrast: What is compared.
        outcomes: Final trials of a tuned comparison with a search for every seed.
        retested: Trials of what each search chose at another seed.
        metrics: The metrics of the study.
        metric: Name of the headline metric.
    """
    if not contrast.treatments or not retested:
        return None
    first, again = _pairs(contrast, [outcomes, retested], metrics, metric)
    kept = first.keys() & again.keys()
    values, anew = _differences(first, kept, metric), _differences(again, kept, metric)
    found = nested_variances(
        [(value, anew[retest_seed(seed)]) for seed, value in values.items() if retest_seed(seed) in anew]
    )
    between = variance_between(values)
    if found is None or between is None:
        return None
    treatment = contrast.treatments[0]
    levels = (treatment, contrast.control)
    lost = sum(each.has_diverged and contrast.level_of(each) in levels for each in retested)
    return Variation(
        *(contrast.name(treatment), metric, between, {"search": found.groups, "seed": found.within}),
        left_out=len(first) - len(kept),
        diverged={"seed": lost} if lost else {},
        p=found.p,
    )


_Pairs = Mapping[tuple[Setting, Setting], Pair[DesignPoint]]


def _pairs(
    contrast: Contrast, groups: Sequence[Sequence[Outcome]], metrics: MetricTable, metric: str
) -> list[_Pairs]:
    """Return the pairs of the first treatment that have a seed in common, by their settings, of each group.

    All groups together say what a run that diverged counts as, since one may have nothing else.
    """
    found: list[_Pairs] = []
    together = [outcome for group in groups for outcome in group]
    for group in groups:
        points = [point for point in design_points_of(group, metrics, together) if metric in point.by_seed]
        pairs = pairs_of(contrast, points, contrast.treatments[0])
        found.append(
            {
                (pair.treatment.setting, pair.control.setting): pair
                for pair in pairs
                if pair.treatment.by_seed[metric].keys() & pair.control.by_seed[metric].keys()
            }
        )
    return found


def _differences(pairs: _Pairs, kept: Collection[tuple[Setting, Setting]], metric: str) -> dict[int, float]:
    """Return the difference by seed, averaged over the settings that are kept."""
    own = [pair for key, pair in pairs.items() if key in kept]
    return seed_differences(values_of(own, metric))[0] if own else {}


def variation_table(found: Variation | None, control: str) -> Table | None:
    """Return the deviation that each source makes; None where nothing was drawn anew.

    Args:
        found: The variation.
        control: Name of the level that is compared with.
    """
    if found is None:
        return None
    metric_spec, between = metric_spec_for(found.metric), found.between
    total = "all of them, between seeds" if found.p is None else "both, between seeds with a search each"
    rows = [_row(total, between, None, metric_spec)]
    rows += [_row(NAMES[source], own, between, metric_spec) for source, own in found.sources.items()]
    lost = [name for name in found.diverged if name not in found.sources]
    rows += [TableRow(NAMES[name], (EMPTY, TableCell("too many diverged"), EMPTY, EMPTY)) for name in lost]
    return Table(
        key="variation",
        title=f"Where the variation of {found.treatment} against {control} comes from",
        corner="drawn anew",
        columns=(
            "seeds",
            f"deviation of the difference{_unit(metric_spec)}",
            "95 % limits",
            "share of the variance",
        ),
        rows=tuple(rows),
        note=(
            f"{_DRAWN if found.p is None else _RETESTED} With few seeds they are rough. These trials count "
            f"nowhere else. {_gaps(found)}{_none_shown(found)}{capitalised(found.advice)}."
        ),
    )


def _gaps(found: Variation) -> str:
    """Return which settings and trials are left out, as sentences with a space behind; empty for none."""
    text = ""
    if found.left_out:
        text = f"Left out: {count(found.left_out, 'setting')} where not every source has results. "
    if found.diverged:
        by_source = ", ".join(f"{NAMES[name]}: {number}" for name, number in found.diverged.items())
        metric_spec = metric_spec_for(found.metric)
        lost = "are left out: that source makes more than is shown"
        trials = count(sum(found.diverged.values()), "trial")
        text += f"{trials} drawn anew diverged ({by_source}) and "
        text += f"{f'count as {metric_spec.of_divergence}' if metric_spec.is_share else lost}. "
    return text


def _none_shown(found: Variation) -> str:
    search = found.sources.get("search")
    if search is None or search.low > 0:
        return ""
    return "The search's part is not distinguishable from none. "


def _unit(metric_spec: MetricSpec) -> str:
    return " (points)" if metric_spec.is_share else ""


def _row(name: str, own: Variance, total: Variance | None, metric_spec: MetricSpec) -> TableRow:
    value, low, high = (metric_spec.text(math.sqrt(each)) for each in (own.value, own.low, own.high))
    share = "" if total is None or not total.value else f"{100 * own.value / total.value:.0f} %"
    limits = f"{low} to {high}" if own.high else "–"  # the same at every seed: nothing is known of the rest
    cells = (str(own.seeds), value, limits, share)
    return TableRow(name, tuple(map(TableCell, cells)))
