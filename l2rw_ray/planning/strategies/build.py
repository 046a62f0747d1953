"""Build the strategies of a run from a study and its ledger."""

from collections.abc import Sequence

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.design.minimum_effective import MinimumEffectiveDesign
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.planning.plan import by_resources
from l2rw_ray.planning.strategies.fixed import FixedStrategy
from l2rw_ray.planning.strategies.interface import Ledger, TrialStrategy
from l2rw_ray.planning.strategies.search_spec import search_specs
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.plans.plan_log import plans_with
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.status import missing_trials
from l2rw_ray.results.trial_result import WEIGHTED


def build_strategies(
    spec: StudySpec, planned: Sequence[PlannedTrial], folder: StudyFolder, *, retry_failed: bool = False
) -> list[TrialStrategy]:
    """Return the strategies of a run: one per kind of resources, or a single adaptive one.

    Args:
        spec: The study.
        planned: Its trials, as far as they are known beforehand.
        folder: Where its ledger is.
        retry_failed: Whether trials recorded as failed are run again.

    Raises:
        StudyFolderError: The ledger, or the record of a search, is unreadable.
    """
    ledger = trial_results(folder.path, objectives_of(spec))
    match spec.design:
        case SearchDesign() | TunedComparisonDesign():
            return [_search_strategy(spec, folder, ledger, retry_failed=retry_failed)]
        case MinimumEffectiveDesign() as design:
            from l2rw_ray.planning.strategies.minimum_effective import MinimumEffectiveStrategy

            return [MinimumEffectiveStrategy(spec, design, ledger, retry_failed=retry_failed)]
        case _ if spec.looks > 1:
            from l2rw_ray.planning.strategies.planned_looks import PlannedLooksStrategy

            plans = plans_with(spec, folder, len(ledger))
            return [PlannedLooksStrategy(spec, planned, ledger, plans, retry_failed=retry_failed)]
        case _:
            missing = missing_trials(planned, ledger, retry_failed=retry_failed)
            return [FixedStrategy(group) for group in by_resources(missing).values()]


def objectives_of(spec: StudySpec) -> list[str]:
    """Return the metrics that decide what a study does next."""
    further = spec.design.further_objectives if isinstance(spec.design, SearchDesign) else ()
    return [spec.objective.metric, *(criterion.metric for criterion in further), WEIGHTED]


def _search_strategy(
    spec: StudySpec, folder: StudyFolder, ledger: Ledger, *, retry_failed: bool
) -> TrialStrategy:
    from l2rw_ray.planning.strategies.optuna_study import OptunaStudy  # optuna takes its time to import
    from l2rw_ray.planning.strategies.search import SearchStrategy
    from l2rw_ray.planning.strategies.tuned_comparison import TunedComparisonStrategy

    searches = []
    for search in search_specs(spec):
        modes = [mode for _, mode in search.metrics]
        optuna_study = OptunaStudy(folder.searches, search.key, search.space, search.design, modes)
        searches.append(SearchStrategy(search, optuna_study, ledger, retry_failed=retry_failed))
    if isinstance(spec.design, SearchDesign):
        return searches[0]
    plans = plans_with(spec, folder, len(ledger))
    return TunedComparisonStrategy(searches, ledger, plans, retry_failed=retry_failed)
