"""Planned looks: all design points at the first seeds, then more until the finding is shown."""

from collections import deque
from collections.abc import Mapping, Sequence

from l2rw_ray.config import PlannedTrial, StudySpec, trial_fingerprint
from l2rw_ray.planning.primary_comparison import is_shown
from l2rw_ray.planning.strategies.interface import Ledger, finished_trials
from l2rw_ray.results.plans.plan_log import PlanLog
from l2rw_ray.results.trial_result import TrialResult


class PlannedLooksStrategy:
    """Returns the trials of a fixed design look by look.

    After each look it ends if that shows the finding.

    Args:
        spec: The study, whose seeds are planned looks.
        first: Its trials at the seeds of the first look.
        ledger: Results of earlier trials, with the objective.
        plans: Its plans, the present one last, which decide what is shown.
        retry_failed: Whether trials recorded as failed are run again.
    """

    ahead = 1

    def __init__(
        self,
        spec: StudySpec,
        first: Sequence[PlannedTrial],
        ledger: Ledger,
        plans: PlanLog,
        *,
        retry_failed: bool = False,
    ) -> None:
        self._spec, self._plans, self.resources = spec, plans, first[0].resources
        own_seed = first[0].seed
        self._points = [trial for trial in first if trial.seed == own_seed]
        self._sizes = deque(spec.look_sizes)
        self._size = self._sizes.popleft()
        self._ledger = dict(finished_trials(ledger, retry_failed=retry_failed))
        self._under_way: set[str] = set()
        self._left: deque[PlannedTrial] = deque()
        self._advance()

    @property
    def planned(self) -> Sequence[PlannedTrial]:
        """All trials asked for so far, finished ones included, in plan order."""
        return [self._trial(point, seed) for point in self._points for seed in range(self._size)]

    @property
    def remaining(self) -> int:
        """Largest number of trials still to finish, running ones included."""
        later = len(self._points) * (self._spec.look_sizes[-1] - self._size)
        return 0 if self.is_done else len(self._left) + len(self._under_way) + later

    @property
    def is_done(self) -> bool:
        """Whether `ask` will return no further trial."""
        return not self._left and not self._under_way

    def ask(self) -> PlannedTrial | None:
        """Return the next trial to run; None while there is none."""
        if not self._left:
            return None
        trial = self._left.popleft()
        self._under_way.add(trial.trial_id)
        return trial

    def report(self, trial_id: str, epoch: float, metrics: Mapping[str, float]) -> None:
        """Do nothing: only final metrics count."""

    def tell(self, trial_id: str, result: TrialResult) -> None:
        """Record the result of a trial that `ask` returned."""
        self._under_way.discard(trial_id)
        if result.is_final:
            self._ledger[trial_id] = result
        if not self._left and not self._under_way:
            self._advance()

    def _advance(self) -> None:
        """Plan looks until one has trials to run, the finding is shown, or no look is left."""
        while True:
            self._left += [trial for trial in self.planned if trial.trial_id not in self._ledger]
            if self._left or not self._sizes:
                return
            if is_shown(self._spec, self.planned, self._ledger, self._plans):
                return
            self._size = self._sizes.popleft()

    def _trial(self, point: PlannedTrial, seed: int) -> PlannedTrial:
        trial_id = trial_fingerprint(point.config, seed, point.resources)
        return PlannedTrial(trial_id, point.config, seed, point.resources, point.factors)
