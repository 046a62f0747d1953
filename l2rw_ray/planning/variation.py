"""Which source of randomness a study should replicate, from its trials that drew one anew."""

from l2rw_ray.config import Stage, StudySpec
from l2rw_ray.report.comparisons.contrast import choose_contrast
from l2rw_ray.report.comparisons.variation import variation_of
from l2rw_ray.report.design_points.metric_table import metric_table
from l2rw_ray.report.design_points.points import design_points_of, factors_of, join, read_rows
from l2rw_ray.results.folder import StudyFolder


def variation_advice(spec: StudySpec, folder: StudyFolder) -> str | None:
    """Return which source makes most of the variation of the finding, in a sentence without a full stop.

    Args:
        spec: The study.
        folder: Its folder, whose ledger has finished trials.

    Returns:
        The sentence; None where nothing was drawn anew yet.

    Raises:
        StudyFolderError: The folder has something unreadable.
    """
    all_outcomes = join(folder.read_plan(), read_rows(folder.path), spec.trial.title)
    outcomes = [outcome for outcome in all_outcomes if outcome.stage is Stage.FINAL]
    redrawn = [outcome for outcome in all_outcomes if outcome.stage is Stage.REDRAWN]
    metrics, methods = metric_table(spec), tuple(dict.fromkeys(each.method for each in outcomes))
    if not methods:
        return None
    points = design_points_of(outcomes, metrics)
    metric = metrics.headline({name for point in points for name in point.by_seed})
    contrast = choose_contrast(methods, factors_of(outcomes))
    found = variation_of(contrast, outcomes, redrawn, metrics, metric)
    return None if found is None else found.advice
