"""The trials of a tuned comparison: a search per arm, then each arm's best on fresh seeds."""

from collections import deque
from collections.abc import Mapping, Sequence

from l2rw_ray.config import PlannedTrial, trial_fingerprint
from l2rw_ray.config.design import VARIANT
from l2rw_ray.orchestration.feed import Ledger
from l2rw_ray.orchestration.search_feed import SearchFeed
from l2rw_ray.results.trial_result import TrialResult


class TunedFeed:
    """Feeds one arm's search after the other; an arm's final trials come once its search is over.

    Args:
        searches: Search by name of the arm.
        seeds: Those of the final trials, on which nothing was searched.
        ledger: How earlier trials ended.
        retry_failed: Whether final trials recorded as failed are run again.
    """

    ahead = 0

    def __init__(
        self,
        searches: Mapping[str, SearchFeed],
        seeds: Sequence[int],
        ledger: Ledger,
        *,
        retry_failed: bool = False,
    ) -> None:
        self._searches, self._seeds = searches, seeds
        self.resources = next(iter(searches.values())).resources
        self._done = {
            trial_id
            for trial_id, result in ledger.items()
            if result.is_final and not (retry_failed and result.status == "failed")
        }
        self._finals: dict[str, list[PlannedTrial]] = {}
        self._left: deque[PlannedTrial] = deque()
        self._arm_of: dict[str, str] = {}

    @property
    def planned(self) -> Sequence[PlannedTrial]:
        """See `TrialFeed`; arm by arm, the final trials last."""
        searched = [trial for search in self._searches.values() for trial in search.planned]
        return [*searched, *(trial for name in self._searches for trial in self._finals.get(name, ()))]

    @property
    def remaining(self) -> int | None:
        """See `TrialFeed`."""
        searched = [search.remaining for search in self._searches.values()]
        to_choose = len(self._searches) - len(self._finals)
        finals = len(self._left) + len(self._seeds) * to_choose
        return None if None in searched else sum(number or 0 for number in searched) + finals

    @property
    def is_done(self) -> bool:
        """See `TrialFeed`."""
        self._choose()
        return not self._left and all(search.is_over for search in self._searches.values())

    def next(self) -> PlannedTrial | None:
        """See `TrialFeed`."""
        self._choose()
        if self._left:
            return self._left.popleft()
        for arm, search in self._searches.items():
            trial = search.next()
            if trial is not None:
                self._arm_of[trial.trial_id] = arm
                return trial
        return None

    def told(self, trial_id: str, epoch: int, figures: Mapping[str, float]) -> None:
        """See `TrialFeed`."""
        if trial_id in self._arm_of:
            self._searches[self._arm_of[trial_id]].told(trial_id, epoch, figures)

    def ended(self, trial_id: str, result: TrialResult) -> None:
        """See `TrialFeed`."""
        if trial_id in self._arm_of:
            self._searches[self._arm_of[trial_id]].ended(trial_id, result)

    def _choose(self) -> None:
        """Plan the final trials of the arms whose search is over."""
        for arm, search in self._searches.items():
            if arm not in self._finals and search.is_over:
                best = search.best
                self._finals[arm] = [] if best is None else self._final_trials(arm, best)
                self._left += [trial for trial in self._finals[arm] if trial.trial_id not in self._done]

    def _final_trials(self, arm: str, best: PlannedTrial) -> list[PlannedTrial]:
        return [
            PlannedTrial(
                trial_fingerprint(best.config, seed, best.resources),
                best.config,
                seed,
                best.resources,
                {VARIANT: arm},
            )
            for seed in self._seeds
        ]
