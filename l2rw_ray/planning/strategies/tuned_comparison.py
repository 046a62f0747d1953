"""A tuned comparison: a search per arm and level, then the best configuration of each on fresh seeds."""

from collections import deque
from collections.abc import Mapping, Sequence

from l2rw_ray.config import PlannedTrial, Stage, trial_fingerprint
from l2rw_ray.planning.primary_comparison import is_shown
from l2rw_ray.planning.strategies.interface import Ledger, finished_trials
from l2rw_ray.planning.strategies.search import SearchStrategy
from l2rw_ray.results.plans.plan_log import PlanLog
from l2rw_ray.results.trial_result import TrialResult


class TunedComparisonStrategy:
    """Returns trials of one search after the other; the final trials follow once their search is over.

    With planned looks, fresh seeds are added look by look until the finding is shown; where each
    seed has a search of its own, with their searches.

    Args:
        searches: One or more for each arm, at each combination of its factors' levels.
        ledger: Results of earlier trials, with the objective.
        plans: The study's plans, the present one last, which decide what planned looks show.
        retry_failed: Whether final trials recorded as failed are run again.
    """

    ahead = 0

    def __init__(
        self,
        searches: Sequence[SearchStrategy],
        ledger: Ledger,
        plans: PlanLog,
        *,
        retry_failed: bool = False,
    ) -> None:
        self._searches, self._spec = searches, searches[0].search_spec.spec
        self._plans, self.resources = plans, searches[0].resources
        self._ledger = dict(finished_trials(ledger, retry_failed=retry_failed))
        self._known = set(self._ledger)
        self._sizes = deque(self._spec.look_sizes)
        self._size = self._sizes.popleft()
        self._finals: dict[int, list[PlannedTrial]] = {}
        self._left: deque[PlannedTrial] = deque()
        self._under_way: set[str] = set()
        self._asked_by: dict[str, list[SearchStrategy]] = {}
        self._results: dict[str, TrialResult] = {}
        self._choose()

    @property
    def planned(self) -> Sequence[PlannedTrial]:
        """All trials asked for so far, search by search, the final trials last."""
        return [*(trial for search in self._searches for trial in search.planned), *self._planned_finals]

    @property
    def remaining(self) -> int | None:
        """Largest number of trials still to finish, running ones included."""
        if self.is_done:
            return len(self._under_way)
        open_searches = [search.remaining for search in self._searches]
        finals = len(self._left) + len(self._under_way)
        for place, search in enumerate(self._searches):
            asked = len(self._finals.get(place, ()))
            is_lost = place in self._finals and search.best is None
            finals += 0 if is_lost else len(_tests(search)) - asked
        return None if None in open_searches else sum(number or 0 for number in open_searches) + finals

    @property
    def is_done(self) -> bool:
        """Whether `ask` will return no further trial."""
        self._choose()
        is_last = not self._sizes or not self._under_way
        return not self._left and is_last and all(search.is_over for _, search in self._in_look)

    def ask(self) -> PlannedTrial | None:
        """Return the next trial to run; None while there is none."""
        self._choose()
        searched = None if self._left else self._next_searched()
        self._choose()  # searches that only had results to take up are over now
        if searched is not None:
            return searched
        if not self._left:
            return None
        trial = self._left.popleft()
        self._under_way.add(trial.trial_id)
        return trial

    def _next_searched(self) -> PlannedTrial | None:
        """Return the next trial of a search that no other search has run or is running."""
        for _, search in self._in_look:
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
        self._under_way.discard(trial_id)
        if result.is_final:
            self._results[trial_id] = self._ledger[trial_id] = result
        for search in self._asked_by.pop(trial_id, ()):
            search.tell(trial_id, result)

    @property
    def _planned_finals(self) -> list[PlannedTrial]:
        return [trial for place in range(len(self._searches)) for trial in self._finals.get(place, ())]

    @property
    def _in_look(self) -> list[tuple[int, SearchStrategy]]:
        """The searches whose choice is tested by the present look, with their places."""
        return [(place, each) for place, each in enumerate(self._searches) if self._tests_in_look(each)]

    def _tests_in_look(self, search: SearchStrategy) -> Sequence[tuple[int, Stage]]:
        """Return the tests of a search's choice up to the present look."""
        own = _tests(search)
        return own if self._spec.looks == 1 else [(seed, stage) for seed, stage in own if seed < self._size]

    def _choose(self) -> None:
        """Plan the final trials of the searches that are over, and the next look once one shows nothing."""
        while True:
            for place, search in self._in_look:
                if search.is_over:
                    self._plan_finals(place, search)
            if (
                not self._sizes
                or not self._look_is_over
                or is_shown(self._spec, self._planned_finals, self._ledger, self._plans)
            ):
                return
            self._size = self._sizes.popleft()

    @property
    def _look_is_over(self) -> bool:
        searched = all(search.is_over for _, search in self._in_look)
        return searched and all(trial.trial_id in self._ledger for trial in self._planned_finals)

    def _plan_finals(self, place: int, search: SearchStrategy) -> None:
        best, planned = search.best, self._finals.setdefault(place, [])
        if best is None:
            return
        for seed, stage in self._tests_in_look(search)[len(planned) :]:
            planned.append(_final_trial(search, best, seed, stage))
            if planned[-1].trial_id not in self._known:
                self._known.add(planned[-1].trial_id)
                self._left.append(planned[-1])


def _tests(search: SearchStrategy) -> list[tuple[int, Stage]]:
    """Return the seeds at which a search's choice is tested, and what each test is for."""
    own = search.search_spec
    finals, retests = ((seed, Stage.FINAL) for seed in own.final_seeds), own.retest_seeds
    return [*finals, *((seed, Stage.REDRAWN) for seed in retests)]


def _final_trial(search: SearchStrategy, best: PlannedTrial, seed: int, stage: Stage) -> PlannedTrial:
    own = search.search_spec
    trial_id = trial_fingerprint(best.config, seed, best.resources)
    return PlannedTrial(trial_id, best.config, seed, best.resources, own.levels, stage, own.key)
