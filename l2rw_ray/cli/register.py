"""`l2rw-ray register`: freeze a plan before there are results."""

import math

from l2rw_ray.config import StudySpec
from l2rw_ray.config.functions.choice import headline_of as declared_headline
from l2rw_ray.config.validation_errors import closest
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning.plan import plan_study, representative_trials
from l2rw_ray.planning.plan_summary import check_samples
from l2rw_ray.planning.primary_comparison import treatments_of
from l2rw_ray.report.design_points.labels import HEADLINE, REGRESSION_HEADLINE, MetricSpec, metric_spec_for
from l2rw_ray.report.design_points.metric_table import metric_table
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.plans.plan_log import log_plan, read_plan_log
from l2rw_ray.results.status import count_statuses


def register_plan(spec: StudySpec, folder: StudyFolder, primary: str, margin: float | None) -> str:
    """Append the plan of a study to its plan log as registered.

    Args:
        spec: The study.
        folder: Its folder, which is created.
        primary: Treatment that is tested first; empty for the report's choice.
        margin: Difference that does not matter, in the unit of the metric.

    Returns:
        What was registered, in words.

    Raises:
        ConfigError: It is registered already, it cannot be run, the primary treatment is none of the study's,
            or the margin is not above 0 or infinite.
        StudyFolderError: The folder cannot be written, or another run uses it.
    """
    if margin is not None and not 0 < margin < math.inf:
        problem = "no difference is that small" if not margin > 0 else "every difference is smaller"
        raise ConfigError("--margin", margin, problem, "use a finite number above 0")
    planned = plan_study(spec)
    check_samples(planned or representative_trials(spec))
    treatments = treatments_of(spec, planned)
    if primary and treatments and primary not in treatments:
        raise ConfigError(
            "--primary", primary, "nothing that this study compares", closest(primary, treatments)
        )
    folder.create()
    with folder.lock():
        if (first := read_plan_log(folder).registration) is not None:
            problem, remedy = (
                f"registered at {first.time}, and the first registration counts",
                "use another --out",
            )
            raise ConfigError("study folder", folder.path, problem, remedy)
        results = 0
        if folder.plan_file.is_file():
            counts = count_statuses(folder.path)
            results = sum(number for status, number in counts.items() if status != "missing")
        entry = log_plan(folder, spec, results, primary=primary, margin=margin, registered=True)
    seeds = ", ".join(map(str, spec.look_sizes))
    before = "before any result" if not entry.results else f"although {entry.results} trials have ended"
    trials = f"{len(planned)} trials, " if planned else ""
    lines = [
        f"registered {spec.name} at {entry.time}, {before}",
        f"plan     {entry.plan[:16]}, {trials}{seeds} seeds",
        f"log      {folder.plan_log}",
    ]
    if margin is not None:
        headline = _headline(spec)
        lines.insert(2, f"margin   {f'{margin:g}' if headline is None else headline.amount(margin)}")
    return "\n".join(lines)


def _headline(spec: StudySpec) -> MetricSpec | None:
    """Return the metric that the report will be about; None where only loading the data tells."""
    if spec.is_built_in and spec.is_regression is None and declared_headline(spec.metrics) is None:
        return None
    known = [REGRESSION_HEADLINE] if spec.is_regression else [HEADLINE]
    return metric_spec_for(metric_table(spec).headline(known))
