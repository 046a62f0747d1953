"""Summarise what a reweighted step costs and how the cost grows, from the ledger of a study alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from l2rw_ray.config import Stage
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.design_points.labels import MetricSpec, count
from l2rw_ray.report.design_points.points import counts_of, join, problems_of, read_rows
from l2rw_ray.report.provenance.notes import read_notes
from l2rw_ray.report.provenance.trials import trials_of
from l2rw_ray.report.provenance.what_was_run import provenance_of
from l2rw_ray.report.scaling.caveats import scaling_warnings
from l2rw_ray.report.scaling.names import estimator_name
from l2rw_ray.report.scaling.points import (
    ESTIMATOR,
    META,
    RATIO,
    STEP_S,
    WORKERS,
    ScalingPoint,
    bound_text,
    scaling_points,
)
from l2rw_ray.report.scaling.trends import (
    EstimatorChoice,
    RatioLaw,
    Trend,
    estimator_choices,
    ratio_laws,
    size_text,
    trends_of,
)
from l2rw_ray.report.scaling.workers import WorkersCurve, worker_curves
from l2rw_ray.report.summary import HeadlineNumber, Summary
from l2rw_ray.results import StudyFolder, read_study

PAPER, PAPERS_RATIO = "arXiv:2405.06859", 3
"""Number of plain steps that a reweighted step takes, as estimated in that paper."""
_RATIO = MetricSpec("overhead ratio", "", 1, 2)
EXPONENT = MetricSpec("exponent", "", 1, 2)
SPEEDUP = MetricSpec("speed-up", "", 1, 2)


@dataclass(frozen=True, kw_only=True)
class ScalingSummary(Summary):
    """A finished or unfinished study of what a reweighted step costs.

    Attributes:
        median_ratio: Median overhead ratio over the points with a bound; None if none has usable times.
        median_of: Number of these points.
        points: All points measured.
        trends: Points along each size.
        ratio_laws: The overhead ratio by M/B.
        choices: Estimators compared with each other.
        workers: Speed-up by workers.
    """

    median_ratio: float | None
    median_of: int
    points: tuple[ScalingPoint, ...]
    trends: tuple[Trend, ...]
    ratio_laws: tuple[RatioLaw, ...]
    choices: tuple[EstimatorChoice, ...]
    workers: tuple[WorkersCurve, ...]

    @property
    def number(self) -> HeadlineNumber | None:
        """The median overhead ratio."""
        if self.median_ratio is None:
            return None
        return HeadlineNumber(_RATIO.text(self.median_ratio), "plain steps, median")

    @property
    def rows_name(self) -> str:
        """What the rows of `results.csv` are."""
        return "points"


def summarise_scaling(directory: Path) -> ScalingSummary:
    """Return everything that the scaling report of a study says.

    Args:
        directory: The study folder.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or no measured step.
    """
    folder = StudyFolder(directory)
    spec = folder.read_spec()
    outcomes = [
        outcome
        for outcome in join(folder.read_plan(), read_rows(directory), only_method=spec.trial.title)
        if outcome.stage is Stage.FINAL
    ]
    points = scaling_points(outcomes, _class_counts(directory))
    if not points:
        problem = "no trial has measured a reweighted step yet"
        remedy = "finish some with `l2rw-ray run` and measurement.probe_rounds above 0"
        raise StudyFolderError("study folder", directory, problem, remedy)
    trends, workers = trends_of(points), worker_curves(points)
    learned = [point for point in points if point.bound is not None and RATIO in point.by_seed]
    return ScalingSummary(
        name=spec.name,
        question=spec.question,
        notes=read_notes(folder.notes),
        finding=_finding(points, learned),
        further_findings=(
            *_by_estimator(learned),
            *_growth(trends),
            *(_speedup(curve) for curve in workers if curve.step == STEP_S),
        ),
        median_ratio=median(_ratios(learned)) if learned else None,
        median_of=len(learned),
        points=points,
        trends=trends,
        ratio_laws=ratio_laws(points),
        choices=estimator_choices(points),
        workers=workers,
        problems=problems_of(outcomes),
        warnings=scaling_warnings(outcomes, points),
        provenance=provenance_of(spec, outcomes, counts_of(outcomes)),
        trials=trials_of(outcomes, spec.objective.metric),
    )


def _class_counts(directory: Path) -> dict[str, int]:
    """Return the number of classes in the train set by trial id; 0 for a regression."""
    rows = read_study(directory).select(["trial_id", "class_counts"]).to_pylist()
    return {row["trial_id"]: len(row["class_counts"] or ()) for row in rows}


def _ratios(points: Sequence[ScalingPoint]) -> list[float]:
    return [point.intervals[RATIO].mean for point in points]


def _span(values: Sequence[float]) -> str:
    """Return `1.36 to 4.10`, or a single value."""
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _finding(points: Sequence[ScalingPoint], learned: Sequence[ScalingPoint]) -> str:
    if not learned:
        return _without_bound(points)
    ratios = _ratios(learned)
    beyond = [ratio / point.bound for ratio, point in zip(ratios, learned, strict=True) if point.bound]
    middle = f" (median {median(beyond):.2f})" if len(learned) > 1 else ""
    return (
        f"{_takes(learned)}, where {PAPER} estimates about {PAPERS_RATIO}; "
        f"that is {_span(beyond)} times the bound {bound_text(learned)}{middle}"
    )


def _takes(points: Sequence[ScalingPoint]) -> str:
    ratios = _ratios(points)
    seeds = sorted({point.intervals[RATIO].n for point in points})
    many = f"median {median(ratios):.2f}, {len(points)} settings, " if len(points) > 1 else ""
    each = "one seed" if seeds == [1] else f"{_range(seeds)} seeds" + (" each" if many else "")
    return f"A reweighted step takes {_span(ratios)} plain ones ({many}{each})"


def _without_bound(points: Sequence[ScalingPoint]) -> str:
    """Return the finding if no usable point has a meta gradient of the whole model."""
    reweighted = [point for point in points if point.level(META) is not None]
    if not reweighted:
        return "no method computes a meta gradient: there is no reweighted step to compare with a plain one"
    timed = [point for point in reweighted if RATIO in point.by_seed]
    if not timed:
        return (
            "no time of a reweighted step is usable, since trials shared a GPU: nothing can be concluded "
            "about times"
        )
    return f"{_takes(timed)} with the meta gradient of the last layer only, for which no bound is known"


def _range(numbers: Sequence[int]) -> str:
    first, last = numbers[0], numbers[-1]
    return str(first) if first == last else f"{first} to {last}"


def _by_estimator(learned: Sequence[ScalingPoint]) -> tuple[str, ...]:
    groups: dict[str, list[float]] = {}
    for point in learned:
        name = estimator_name(point.facets.level(ESTIMATOR))
        groups.setdefault(name, []).append(point.intervals[RATIO].mean)
    if len(groups) < 2:
        return ()
    return tuple(
        f"Estimator {name}: {_span(ratios)} plain steps (median {median(ratios):.2f}, "
        f"{count(len(ratios), 'setting')})"
        for name, ratios in groups.items()
    )


def _growth(trends: Sequence[Trend]) -> tuple[str, ...]:
    """Return a sentence on the first trend along each size, which is that of the baseline."""
    shown = [trend for trend in trends if trend.axis.path != WORKERS]  # covered by speed-up
    first = {trend.axis.path: trend for trend in reversed(shown)}
    return tuple(_power(first[path]) for path in dict.fromkeys(trend.axis.path for trend in shown))


def _power(trend: Trend) -> str:
    laws = [(name, trend.laws[name]) for name in (STEP_S, RATIO) if name in trend.laws]
    span = f"{trend.axis.name.capitalize()} {size_text(trend.levels[0])} to {size_text(trend.levels[-1])}"
    estimator = trend.fixed.level(ESTIMATOR)
    under = f", estimator {estimator_name(estimator)}" if estimator else ""
    if not laws:
        return f"{span}{under}: no seed has usable times at all of its levels"
    text = ", ".join(
        f"the {'step time grows' if name == STEP_S else 'ratio'} with exponent "
        f"{EXPONENT.text(law.exponent.mean)} ({EXPONENT.limits(law.exponent)})"
        for name, law in laws
    )
    return f"{span}{under}: {text}"


def _speedup(curve: WorkersCurve) -> str:
    last = curve.points[-1]
    return (
        f"{last.workers} workers at {curve.equal}: {SPEEDUP.text(last.speedup.mean)} times the work of "
        f"one ({SPEEDUP.limits(last.speedup)}), an efficiency of {100 * last.efficiency.mean:.0f} %"
    )
