"""Summarise a study of design points over seeds, from its ledger alone."""

from collections.abc import Sequence
from pathlib import Path

from l2rw_ray.config import Stage, StudySpec
from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.ablation.effects import curves_of, effects_of, histories_of
from l2rw_ray.report.ablation.equal_compute import equal_compute, with_comparisons
from l2rw_ray.report.ablation.headline import findings
from l2rw_ray.report.ablation.interactions import interactions_of
from l2rw_ray.report.ablation.minimum_effective import effective_answer
from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.ablation.tasks import tasks_tables
from l2rw_ray.report.ablation.tuning import has_tuned_levels, searched_text, tuning_gaps, tuning_tables
from l2rw_ray.report.comparisons.cautions import cautions, shared_test_set
from l2rw_ray.report.comparisons.comparison import Comparison, with_evidence
from l2rw_ray.report.comparisons.contrast import choose_contrast, compare, compare_pooled, has_primary
from l2rw_ray.report.comparisons.families import gated
from l2rw_ray.report.comparisons.multiverse import multiverse_table
from l2rw_ray.report.comparisons.relative_cost import with_relative_cost
from l2rw_ray.report.comparisons.runs import with_runs
from l2rw_ray.report.comparisons.variation import variation_of, variation_table
from l2rw_ray.report.design_points.arms import arms_of
from l2rw_ray.report.design_points.example_results import with_example_results
from l2rw_ray.report.design_points.labels import (
    MINUS,
    WEIGHT_CURVES,
    count,
)
from l2rw_ray.report.design_points.metric_table import metric_table
from l2rw_ray.report.design_points.points import (
    METHOD_FACTOR,
    Outcome,
    counts_of,
    design_points_of,
    factors_of,
    join,
    problems_of,
    read_rows,
    warnings_of,
)
from l2rw_ray.report.design_points.setting import narrowest
from l2rw_ray.report.provenance.design import design_of
from l2rw_ray.report.provenance.estimators import estimator_warnings
from l2rw_ray.report.provenance.failure_signatures import signature_notice, signature_table, signatures_of
from l2rw_ray.report.provenance.label_noise import label_noise_tables, noisy_selection
from l2rw_ray.report.provenance.notes import read_notes
from l2rw_ray.report.provenance.plan_history import plan_history, unknown_primary
from l2rw_ray.report.provenance.published import published_tables
from l2rw_ray.report.provenance.trials import trials_of
from l2rw_ray.report.provenance.what_was_run import provenance_of
from l2rw_ray.results import StudyFolder, read_epochs
from l2rw_ray.results.plans.plan_log import read_plan_log


def summarise(directory: Path) -> Ablation:
    """Return everything that the report of a study says.

    Args:
        directory: The study folder.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or something unreadable.
    """
    folder = StudyFolder(directory)
    spec = folder.read_spec()
    metrics = metric_table(spec)
    all_outcomes = _read_outcomes(folder, spec)
    final = [outcome for outcome in all_outcomes if outcome.stage is Stage.FINAL]
    outcomes = with_example_results(final, directory)
    redrawn = [outcome for outcome in all_outcomes if outcome.stage is Stage.REDRAWN]
    tuning = [outcome for outcome in all_outcomes if outcome.stage is Stage.SEARCH]
    methods = tuple(dict.fromkeys(outcome.method for outcome in outcomes))
    factors, counts = factors_of(outcomes), counts_of(outcomes)
    history = plan_history(read_plan_log(folder), spec)
    contrast = choose_contrast(methods, factors, _tuned_arms(spec)).with_first(history.primary)
    if not spec.is_built_in:
        outcomes = with_relative_cost(outcomes, contrast)
    points = design_points_of(outcomes, metrics)
    metric = metrics.headline({name for point in points for name in point.by_seed})
    pooled = with_evidence(compare_pooled(contrast, points, outcomes, metric))
    pooled = with_runs(pooled, contrast, outcomes, searched_text(spec))
    single = with_evidence(compare(contrast, points, metric))
    interactions = interactions_of(spec, contrast, factors, points, metric)
    validation = metrics.curve(metric)
    epochs = read_epochs(directory, (validation, *WEIGHT_CURVES).__contains__)
    histories = histories_of(outcomes, epochs, validation)
    at_equal_time = equal_compute(contrast, points, histories, validation)
    timed = [each.comparison for each in at_equal_time if each.comparison is not None]
    pooled, tested, interactions = gated(
        *(pooled, [*single, *timed], interactions),
        has_primary=has_primary(contrast, history.primary),
        multiplicity=history.multiplicity,
    )
    signatures = signatures_of(outcomes)
    level = effective_answer(spec, outcomes)
    found = findings(contrast, pooled, points, metric, None if level is None else level.finding)
    variation = variation_table(
        variation_of(contrast, outcomes, redrawn, metrics, metric), contrast.name(contrast.control)
    )
    return Ablation(
        name=spec.name,
        question=spec.question,
        notes=read_notes(folder.notes),
        finding=found[0],
        further_findings=found[1:],
        arms=arms_of(spec, contrast),
        factors=factors,
        methods=methods,
        control=contrast.name(contrast.control),
        headline=contrast.name((*contrast.treatments, contrast.control)[0]),
        settings=narrowest(outcome.setting for outcome in outcomes),
        points=points,
        comparisons=tested[: len(single)],
        pooled=pooled,
        effects=effects_of(contrast, methods, factors, points, metric),
        curves=curves_of(histories, validation),
        weight_curves={name: curves_of(histories_of(outcomes, epochs, name), name) for name in WEIGHT_CURVES},
        equal_compute=with_comparisons(at_equal_time, tested[len(single) :]),
        counts=counts,
        problems=problems_of(outcomes),
        warnings=(
            *history.warnings,
            *unknown_primary(history, [contrast.name(level) for level in contrast.treatments]),
            *noisy_selection(all_outcomes),
            *tuning_gaps(spec, all_outcomes),
            *_gaps(outcomes, pooled),
            *cautions(pooled),
            *shared_test_set(outcomes, metric, pooled),
            *warnings_of(outcomes, metrics),
            *estimator_warnings(outcomes),
            *signature_notice(signatures),
        ),
        provenance=provenance_of(spec, outcomes, counts, contrast, tuning),
        design=(*design_of(spec, contrast, factors, all_outcomes, metric), *history.rows),
        trials=trials_of(all_outcomes, spec.objective.metric, metrics.results),
        interactions=interactions,
        signatures=signature_table(signatures),
        label_noise=label_noise_tables(directory),
        answer=None if level is None else level.table,
        details=(
            *published_tables(spec, points),
            *tasks_tables(contrast, methods, points, metric),
            *tuning_tables(spec, all_outcomes),
            *([] if variation is None else [variation]),
        ),
        multiverse=multiverse_table(
            contrast, points, outcomes, pooled, single, history.margin, metrics.results
        ),
        metric=metric,
        curve_metric=validation,
        results=metrics.results,
        costs=metrics.costs,
        is_built_in=spec.is_built_in,
    )


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
    return {name: str(tuned.set.get(METHOD_FACTOR, own)) for name, tuned in spec.design.arms.items()}


def _gaps(outcomes: Sequence[Outcome], pooled: Sequence[Comparison]) -> tuple[str, ...]:
    counts, gaps = counts_of(outcomes), []
    if counts.missing:
        missing = count(counts.missing, "planned trial")
        gaps.append(f"The study is incomplete: {missing} of {counts.planned:,} not run yet")
    ended_early = counts.failed + counts.stopped
    if ended_early:
        gaps.append(f"{count(ended_early, 'trial')} failed or stopped, excluded from all results")
    if counts.diverged:
        gaps.append(
            f"{count(counts.diverged, 'trial')} diverged: counted at chance level in test accuracies, ranked "
            "last in test errors, and excluded from everything else"
        )
    gaps += [
        f"The average of {comparison.treatment} {MINUS} {comparison.control} leaves out "
        f"{count(comparison.difference.unpaired, 'seed')} that "
        f"{'lacks' if comparison.difference.unpaired == 1 else 'lack'} a partner at some setting"
        for comparison in pooled
        if comparison.difference.unpaired
    ]
    return tuple(gaps)
