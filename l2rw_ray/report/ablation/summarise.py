"""Summarise a study of design points over seeds, from its ledger alone."""

from collections.abc import Sequence
from pathlib import Path

from l2rw_ray.config import Stage
from l2rw_ray.report.ablation.claims import Claims, MeasuredStudy, claims_of, read_measured
from l2rw_ray.report.ablation.effects import curves_of, effects_of, histories_of
from l2rw_ray.report.ablation.headline import findings
from l2rw_ray.report.ablation.minimum_effective import effective_answer
from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.ablation.tasks import tasks_tables
from l2rw_ray.report.ablation.tuning import budgets_of, tuning_gaps, tuning_table
from l2rw_ray.report.comparisons.cautions import cautions, shared_test_set
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.comparisons.multiverse import multiverse_table
from l2rw_ray.report.comparisons.partial_pooling import pooling_table
from l2rw_ray.report.comparisons.variation import variation_table
from l2rw_ray.report.design_points.arms import arms_of
from l2rw_ray.report.design_points.labels import MINUS, WEIGHT_CURVES, count, metric_spec_for
from l2rw_ray.report.design_points.points import Outcome, counts_of, problems_of, warnings_of
from l2rw_ray.report.design_points.setting import narrowest
from l2rw_ray.report.document.table import Table
from l2rw_ray.report.provenance.design import design_of
from l2rw_ray.report.provenance.estimators import estimator_warnings
from l2rw_ray.report.provenance.failure_signatures import signature_notice, signature_table, signatures_of
from l2rw_ray.report.provenance.label_noise import label_noise_tables, noisy_selection
from l2rw_ray.report.provenance.notes import read_notes
from l2rw_ray.report.provenance.plan_history import unknown_primary
from l2rw_ray.report.provenance.published import published_tables
from l2rw_ray.report.provenance.trials import trials_of
from l2rw_ray.report.provenance.what_was_run import provenance_of
from l2rw_ray.results import read_epochs


def summarise(directory: Path) -> Ablation:
    """Return everything that the report of a study says.

    Args:
        directory: The study folder.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or something unreadable.
    """
    study = read_measured(directory)
    spec, contrast, outcomes, points, metric = (
        *(study.spec, study.contrast, study.outcomes),
        *(study.points, study.metric),
    )
    validation, counts = study.validation_metric, counts_of(outcomes)
    epochs = read_epochs(directory, (validation, *WEIGHT_CURVES).__contains__)
    histories = histories_of(outcomes, epochs, validation)
    claims = claims_of(study, histories)
    level = effective_answer(spec, outcomes)
    found = findings(contrast, claims.pooled, points, metric, None if level is None else level.finding)
    return Ablation(
        name=spec.name,
        question=spec.question,
        notes=read_notes(study.folder.notes),
        finding=found[0],
        further_findings=found[1:],
        arms=arms_of(spec, contrast),
        factors=study.factors,
        methods=study.methods,
        control=study.control,
        headline=contrast.name((*contrast.treatments, contrast.control)[0]),
        settings=narrowest(outcome.setting for outcome in outcomes),
        points=points,
        comparisons=claims.single,
        pooled=claims.pooled,
        effects=effects_of(contrast, study.methods, study.factors, points, metric),
        curves=curves_of(histories, validation),
        weight_curves={name: curves_of(histories_of(outcomes, epochs, name), name) for name in WEIGHT_CURVES},
        equal_compute=claims.equal_compute,
        counts=counts,
        problems=problems_of([*outcomes, *study.at_stage(Stage.REDRAWN)]),
        warnings=_warnings(study, claims),
        provenance=provenance_of(spec, outcomes, counts, contrast, study.at_stage(Stage.SEARCH)),
        design=_design(study),
        trials=trials_of(study.all_outcomes, spec.objective.metric, study.metrics.results),
        interactions=claims.interactions,
        signatures=signature_table(signatures_of(outcomes)),
        label_noise=label_noise_tables(directory),
        answer=None if level is None else level.table,
        details=_details(study),
        budgets=budgets_of(spec, study.all_outcomes),
        multiverse=_multiverse(study, claims),
        pooling=pooling_table(contrast, points, next(iter(claims.pooled), None), study.history.margin),
        metric=metric,
        curve_metric=validation,
        results=study.metrics.results,
        costs=study.metrics.costs,
        is_built_in=spec.is_built_in,
    )


def _warnings(study: MeasuredStudy, claims: Claims) -> tuple[str, ...]:
    outcomes = study.outcomes
    return (
        *study.history.warnings,
        *unknown_primary(study.history, [study.contrast.name(level) for level in study.contrast.treatments]),
        *noisy_selection(study.all_outcomes),
        *tuning_gaps(study.spec, study.all_outcomes),
        *_gaps(outcomes, claims.pooled),
        *cautions(claims.pooled),
        *shared_test_set(outcomes, study.metric, claims.pooled),
        *warnings_of(outcomes, study.metrics),
        *estimator_warnings(outcomes),
        *signature_notice(signatures_of(outcomes)),
    )


def _design(study: MeasuredStudy) -> tuple[tuple[str, str], ...]:
    found = design_of(study.spec, study.contrast, study.factors, study.all_outcomes, study.metric)
    rows, margin = (*found, *study.history.rows), study.history.margin
    return rows if margin is None else (*rows, ("Margin", metric_spec_for(study.metric).amount(margin)))


def _details(study: MeasuredStudy) -> tuple[Table, ...]:
    variation = variation_table(study.variation, study.control)
    tables = (tuning_table(study.spec, study.all_outcomes), variation)
    return (
        *published_tables(study.spec, study.points),
        *tasks_tables(study.contrast, study.methods, study.points, study.metric),
        *(table for table in tables if table is not None),
    )


def _multiverse(study: MeasuredStudy, claims: Claims) -> Table | None:
    return multiverse_table(
        *(study.contrast, study.points, study.outcomes, claims.pooled),
        *(study.history.margin, study.metrics.results),
    )


def _gaps(outcomes: Sequence[Outcome], pooled: Sequence[Comparison]) -> tuple[str, ...]:
    counts, gaps = counts_of(outcomes), []
    if counts.missing:
        missing = count(counts.missing, "planned trial")
        gaps.append(f"The study is incomplete: {missing} of {counts.planned:,} not run yet")
    ended_early = counts.failed + counts.stopped
    if ended_early:
        gaps.append(f"{count(ended_early, 'trial')} failed or stopped, excluded from all results")
    if counts.diverged:
        how = (
            "at chance level in the trainer's accuracies, at the worst value in other metrics in percent, "
            "ranked last in all others"
        )
        gaps.append(
            f"{count(counts.diverged, 'trial')} diverged: counted {how}, and excluded from everything else"
        )
    gaps += [
        f"The average of {comparison.treatment} {MINUS} {comparison.control} leaves out "
        f"{count(comparison.difference.unpaired, 'seed')} that "
        f"{'lacks' if comparison.difference.unpaired == 1 else 'lack'} a partner at some setting"
        for comparison in pooled
        if comparison.difference.unpaired
    ]
    return tuple(gaps)
