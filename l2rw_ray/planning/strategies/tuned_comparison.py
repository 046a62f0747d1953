"""A tuned comparison: a search per arm and level, then the best configuration of each on fresh seeds."""

from collections import deque
from collections.abc import Mapping, Sequence

from l2rw_ray.config import PlannedTrial, trial_fingerprint
from l2rw_ray.planning.strategies.interface import Ledger, finished_trials
from l2rw_ray.planning.strategies.search import SearchStrategy
from l2rw_ray.results.trial_result import TrialResult


class TunedComparisonStrategy:
    """Returns trials of one search after the other; the final trials follow once their search is over.

    Args:
        searches: One or more for each arm, at each combination of its factors' levels.
        ledger: Results of earlier trials.
        retry_failed: Whether final trials recorded as failed are run again.
    """

    ahead = 0

    def __init__(
        self,
        searches: Sequence[SearchStrategy],
        ledger: Ledger,
        *,
        retry_failed: bool = False,
    ) -> None:
        self._searches = searches
        self.resources = searches[0].resources
        self._done = set(finished_trials(ledger, retry_failed=retry_failed))
        self._finals: dict[int, list[PlannedTrial]] = {}
        self._left: deque[PlannedTrial] = deque()
        self._asked_by: dict[str, list[SearchStrategy]] = {}
        self._results: dict[str, TrialResult] = {}

    @property
    def planned(self) -> Sequence[PlannedTrial]:
        """All trials asked for so far, search by search, the final trials last."""
        searched = [trial for search in self._searches for trial in search.planned]
        places = range(len(self._searches))
        return [*searched, *(trial for place in places for trial in self._finals.get(place, ()))]

    @property
    def remaining(self) -> int | None:
        """Largest number of trials still to finish, running ones included."""
        searched = [search.remaining for search in self._searches]
        finals = len(self._left) + sum(
            len(search.search_spec.final_seeds)
            for place, search in enumerate(self._searches)
            if place not in self._finals
        )
        return None if None in searched else sum(number or 0 for number in searched) + finals

    @property
    def is_done(self) -> bool:
        """Whether `ask` will return no further trial."""
        self._choose()
        return not self._left and all(search.is_over for search in self._searches)

    def ask(self) -> PlannedTrial | None:
        """Return the next trial to run; None while there is none."""
        self._choose()
        searched = None if self._left else self._next_searched()
        if searched is not None:
            return searched
        self._choose()
        return self._left.popleft() if self._left else None

    def _next_searched(self) -> PlannedTrial | None:
        """Return the next trial of a search that no other search has run or is running."""
        for search in self._searches:
            while (trial := search.ask()) is not None:
                if trial.trial_id in self._results:
                    search.tell(trial.trial_id, self._results[trial.trial_id])
                    continue
                asked_by = self._asked_by.setdefault(trial.trial_id, [])
                asked_by.append(search)
                if len(asked_by) == 1:
                    return trial
        return None

    def report(self, trial_id: str, epoch: float, metrics: Mapping[str, float]) -> None:
        """Record metrics of a running trial."""
        for search in self._asked_by.get(trial_id, ()):
            search.report(trial_id, epoch, metrics)

    def tell(self, trial_id: str, result: TrialResult) -> None:
        """Record the result of a trial that `ask` returned."""
        if result.is_final:
            self._results[trial_id] = result
        for search in self._asked_by.pop(trial_id, ()):
            search.tell(trial_id, result)

    def _choose(self) -> None:
        """Plan the final trials of the searches that are over."""
        for place, search in enumerate(self._searches):
            if place not in self._finals and search.is_over:
                best = search.best
                self._finals[place] = [] if best is None else self._final_trials(search, best)
                new = [trial for trial in self._finals[place] if trial.trial_id not in self._done]
                self._done.update(trial.trial_id for trial in new)
                self._left += new

    def _final_trials(self, search: SearchStrategy, best: PlannedTrial) -> list[PlannedTrial]:
        return [
            PlannedTrial(
                trial_fingerprint(best.config, seed, best.resources),
                best.config,
                seed,
                best.resources,
                search.search_spec.levels,
                search=search.search_spec.key,
            )
            for seed in search.search_spec.final_seeds
        ]
