"""What a study has measured, and the differences that its report may claim."""

from dataclasses import dataclass
from pathlib import Path

from l2rw_ray.config import Stage, StudySpec
from l2rw_ray.config.design.changes import single_changes
from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.ablation.effects import Histories
from l2rw_ray.report.ablation.equal_compute import equal_compute, with_comparisons
from l2rw_ray.report.ablation.interactions import interactions_of
from l2rw_ray.report.ablation.summary import EqualComputeResult, Interaction
from l2rw_ray.report.ablation.tuning import has_tuned_levels, searched_text
from l2rw_ray.report.comparisons.comparison import Comparison, with_evidence
from l2rw_ray.report.comparisons.contrast import (
    Contrast,
    choose_contrast,
    compare,
    compare_pooled,
    has_primary,
)
from l2rw_ray.report.comparisons.families import gated
from l2rw_ray.report.comparisons.relative_cost import with_relative_cost
from l2rw_ray.report.comparisons.runs import with_runs
from l2rw_ray.report.comparisons.variation import Variation, search_variation_of, variation_of
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.example_results import with_example_results
from l2rw_ray.report.design_points.metric_table import MetricTable, metric_table
from l2rw_ray.report.design_points.points import (
    METHOD_FACTOR,
    Outcome,
    design_points_of,
    factors_of,
    join,
    read_rows,
)
from l2rw_ray.report.design_points.setting import Factor
from l2rw_ray.report.provenance.plan_history import PlanHistory, plan_history
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.plans.plan_log import read_plan_log


@dataclass(frozen=True)
class MeasuredStudy:
    """A study with its trials, and what they are compared by.

    Attributes:
        folder: Its folder.
        spec: The study.
        history: How its plan came about.
        metrics: Its metrics.
        all_outcomes: All planned trials.
        outcomes: Those whose test metrics count.
        methods: Methods in plan order.
        factors: All factors but the method.
        contrast: What is compared.
        points: Design points.
        metric: Name of the headline metric.
    """

    folder: StudyFolder
    spec: StudySpec
    history: PlanHistory
    metrics: MetricTable
    all_outcomes: tuple[Outcome, ...]
    outcomes: tuple[Outcome, ...]
    methods: tuple[str, ...]
    factors: tuple[Factor, ...]
    contrast: Contrast
    points: tuple[DesignPoint, ...]
    metric: str

    @property
    def validation_metric(self) -> str:
        """Name of the metric of the learning curves."""
        return self.metrics.curve(self.metric)

    @property
    def control(self) -> str:
        """Name of the level that the others are compared with."""
        return self.contrast.name(self.contrast.control)

    @property
    def variation(self) -> Variation | None:
        """Where the variation of the finding comes from; None where nothing was drawn anew."""
        of_kind = search_variation_of if self.spec.retest_seeds else variation_of
        redrawn = self.at_stage(Stage.REDRAWN)
        return of_kind(self.contrast, self.outcomes, redrawn, self.metrics, self.metric)

    def at_stage(self, stage: Stage) -> list[Outcome]:
        """Return the trials of a stage."""
        return [outcome for outcome in self.all_outcomes if outcome.stage is stage]


def read_measured(directory: Path) -> MeasuredStudy:
    """Return a study with its trials.

    Args:
        directory: The study folder.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or something unreadable.
    """
    folder = StudyFolder(directory)
    spec = folder.read_spec()
    metrics, history = metric_table(spec), plan_history(read_plan_log(folder), spec)
    all_outcomes = _read_outcomes(folder, spec)
    finals = [outcome for outcome in all_outcomes if outcome.stage is Stage.FINAL]
    outcomes = with_example_results(finals, directory)
    methods = tuple(dict.fromkeys(outcome.method for outcome in outcomes))
    factors = factors_of(outcomes)
    contrast = choose_contrast(methods, factors, _tuned_arms(spec)).with_first(history.primary)
    if not spec.is_built_in:
        outcomes = with_relative_cost(outcomes, contrast)
    points = design_points_of(outcomes, metrics)
    metric = metrics.headline({name for point in points for name in point.by_seed})
    return MeasuredStudy(
        *(folder, spec, history, metrics, all_outcomes, tuple(outcomes)),
        *(methods, factors, contrast, points, metric),
    )


@dataclass(frozen=True)
class Claims:
    """All differences of a report, with p values that share one error rate.

    Attributes:
        pooled: Averages over settings, the headline first.
        single: Differences at each setting.
        interactions: How differences change with other factors.
        equal_compute: The methods at equal training time, the control first.
    """

    pooled: tuple[Comparison, ...]
    single: tuple[Comparison, ...]
    interactions: tuple[Interaction, ...]
    equal_compute: tuple[EqualComputeResult, ...]


def claims_of(study: MeasuredStudy, histories: Histories) -> Claims:
    """Return the differences of a report.

    Args:
        study: The study.
        histories: The validation metric of each completed trial's epochs.
    """
    contrast, points, metric = study.contrast, study.points, study.metric
    pooled = with_evidence(compare_pooled(contrast, points, study.outcomes, metric))
    pooled = with_runs(pooled, contrast, study.outcomes, searched_text(study.spec))
    single = with_evidence(compare(contrast, points, metric))
    interactions = interactions_of(study.spec, contrast, study.factors, points, metric)
    at_equal_time = equal_compute(contrast, points, histories, study.validation_metric)
    timed = [each.comparison for each in at_equal_time if each.comparison is not None]
    pooled, tested, interactions = gated(
        *(pooled, [*single, *timed], interactions),
        has_primary=has_primary(contrast, study.history.primary),
        multiplicity=study.history.multiplicity,
    )
    timed_results = with_comparisons(at_equal_time, tested[len(single) :])
    return Claims(pooled, tested[: len(single)], interactions, timed_results)


def _read_outcomes(folder: StudyFolder, spec: StudySpec) -> tuple[Outcome, ...]:
    """Return all planned trials with their ledger rows.

    Raises:
        StudyFolderError: No final trial has finished.
    """
    factor = VARIANT if has_tuned_levels(spec) else METHOD_FACTOR
    outcomes = join(folder.read_plan(), read_rows(folder.path), spec.trial.title, method_factor=factor)
    if not any(outcome.row for outcome in outcomes if outcome.stage is Stage.FINAL):
        raise StudyFolderError(
            "study folder", folder.path, "no final trial has finished yet", "finish some with `l2rw-ray run`"
        )
    return outcomes


def _tuned_arms(spec: StudySpec) -> dict[str, str] | None:
    """Return the method of each arm of a tuned comparison, in plan order; None for another design."""
    if not isinstance(spec.design, TunedComparisonDesign):
        return None
    own = spec.trial.title
    arms = spec.design.arms.items()
    return {name: str(single_changes(arm.set).get(METHOD_FACTOR, own)) for name, arm in arms}
