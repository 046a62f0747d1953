"""The trials of a tuned comparison: a search per arm, then each arm's best on fresh seeds."""

from collections import deque
from collections.abc import Mapping, Sequence

from l2rw_ray.config import PlannedTrial, trial_fingerprint
from l2rw_ray.config.design import VARIANT
from l2rw_ray.orchestration.feed import Ledger, settled
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
        self._done = set(settled(ledger, retry_failed=retry_failed))
        self._finals: dict[str, list[PlannedTrial]] = {}
        self._left: deque[PlannedTrial] = deque()
        self._arms_of: dict[str, list[str]] = {}
        self._results: dict[str, TrialResult] = {}

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
        searched = None if self._left else self._next_searched()
        if searched is not None:
            return searched
        self._choose()
        return self._left.popleft() if self._left else None

    def _next_searched(self) -> PlannedTrial | None:
        """The next trial of a search; what another arm has tried or is trying is not run again."""
        for arm, search in self._searches.items():
            while (trial := search.next()) is not None:
                if trial.trial_id in self._results:
                    search.ended(trial.trial_id, self._results[trial.trial_id])
                    continue
                arms = self._arms_of.setdefault(trial.trial_id, [])
                arms.append(arm)
                if len(arms) == 1:
                    return trial
        return None

    def told(self, trial_id: str, epoch: int, figures: Mapping[str, float]) -> None:
        """See `TrialFeed`."""
        for arm in self._arms_of.get(trial_id, ()):
            self._searches[arm].told(trial_id, epoch, figures)

    def ended(self, trial_id: str, result: TrialResult) -> None:
        """See `TrialFeed`."""
        if result.is_final:
            self._results[trial_id] = result
        for arm in self._arms_of.pop(trial_id, ()):
            self._searches[arm].ended(trial_id, result)

    def _choose(self) -> None:
        """Plan the final trials of the arms whose search is over."""
        for arm, search in self._searches.items():
            if arm not in self._finals and search.is_over:
                best = search.best
                self._finals[arm] = [] if best is None else self._final_trials(arm, best)
                new = [trial for trial in self._finals[arm] if trial.trial_id not in self._done]
                self._done.update(trial.trial_id for trial in new)
                self._left += new

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
