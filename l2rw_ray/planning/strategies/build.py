"""From a study and its ledger to the strategies of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.design.kinds import VARIANT, SearchingDesign
from l2rw_ray.config.design.minimum_effective import MinimumEffectiveDesign
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.config.design.space import Space
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.planning.plan import by_resources, trials_at_ends
from l2rw_ray.planning.strategies.fixed import FixedStrategy
from l2rw_ray.planning.strategies.interface import Ledger, TrialStrategy
from l2rw_ray.planning.strategies.minimum_effective import MinimumEffectiveStrategy
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.status import missing_trials
from l2rw_ray.results.trial_result import WEIGHTED


def build_strategies(
    spec: StudySpec, planned: Sequence[PlannedTrial], folder: StudyFolder, *, retry_failed: bool = False
) -> list[TrialStrategy]:
    """What a run has to do: a strategy for each kind of resources, or one that decides as it goes.

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
        case SearchDesign() | TunedComparisonDesign() as design:
            return [_search_strategy(spec, design, folder, ledger, retry_failed=retry_failed)]
        case MinimumEffectiveDesign() as design:
            return [MinimumEffectiveStrategy(spec, design, ledger, retry_failed=retry_failed)]
        case _:
            missing = missing_trials(planned, ledger, retry_failed=retry_failed)
            return [FixedStrategy(group) for group in by_resources(missing).values()]


def objectives_of(spec: StudySpec) -> list[str]:
    """The figures that decide what a study does next."""
    further = spec.design.further_objectives if isinstance(spec.design, SearchDesign) else ()
    return [spec.objective.metric, *(criterion.metric for criterion in further), WEIGHTED]


def _search_strategy(
    spec: StudySpec, design: SearchingDesign, folder: StudyFolder, ledger: Ledger, *, retry_failed: bool
) -> TrialStrategy:
    from l2rw_ray.planning.strategies.optuna_study import OptunaStudy
    from l2rw_ray.planning.strategies.search import SearchSpec, SearchStrategy
    from l2rw_ray.planning.strategies.tuned_comparison import TunedComparisonStrategy

    further = design.further_objectives if isinstance(design, SearchDesign) else ()
    prunes = isinstance(design, SearchDesign) and design.stopping is not None
    objective = (spec.objective.metric, spec.objective.mode)
    metrics = [objective, *((criterion.metric, criterion.mode) for criterion in further)]

    def search(
        fixed: Mapping[str, Any], levels: Mapping[str, Any], space: Space, seeds: Sequence[int]
    ) -> SearchStrategy:
        search_spec = SearchSpec(spec, fixed, levels, seeds, metrics, design.budget, prunes=prunes)
        identity = {
            "trials": sorted({trial.trial_id for trial in trials_at_ends(spec, dict(fixed), space)}),
            "space": {path: parameter.model_dump(mode="json") for path, parameter in space.items()},
            "when": design.when,
            "objectives": metrics,
            "fixed": dict(fixed),
            "seeds": list(seeds),
        }
        optuna_study = OptunaStudy(folder.searches, identity, space, design, [mode for _, mode in metrics])
        return SearchStrategy(search_spec, optuna_study, ledger, retry_failed=retry_failed)

    if isinstance(design, SearchDesign):
        return search({}, {}, design.space, spec.seed_values)
    searches = [
        search(arm.set | point, {VARIANT: name} | point, design.space_of(name), design.search_seeds)
        for name, arm in design.arms.items()
        for point in design.points_of(name)
    ]
    return TunedComparisonStrategy(searches, spec.seed_values, ledger, retry_failed=retry_failed)
