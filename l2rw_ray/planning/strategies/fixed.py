"""The strategy of a design whose trials are known beforehand."""

from collections import deque
from collections.abc import Mapping, Sequence

from l2rw_ray.config import PlannedTrial
from l2rw_ray.results.trial_result import TrialResult


class FixedStrategy:
    """Returns a fixed list of trials in order.

    Args:
        trials: The trials to run, at least one.
    """

    ahead = 1

    def __init__(self, trials: Sequence[PlannedTrial]) -> None:
        self.planned, self.resources, self._left = tuple(trials), trials[0].resources, deque(trials)
        self._under_way: set[str] = set()

    @property
    def remaining(self) -> int:
        """Largest number of trials still to finish, running ones included."""
        return len(self._left) + len(self._under_way)

    def ask(self) -> PlannedTrial | None:
        """Return the next trial to run; None while there is none."""
        if not self._left:
            return None
        self._under_way.add(self._left[0].trial_id)
        return self._left.popleft()

    @property
    def is_done(self) -> bool:
        """Whether `ask` will return no further trial."""
        return not self._left

    def report(self, trial_id: str, epoch: float, metrics: Mapping[str, float]) -> None:
        """Do nothing: the list of trials is fixed."""

    def tell(self, trial_id: str, result: TrialResult) -> None:
        """Record the result of a trial that `ask` returned."""
        self._under_way.discard(trial_id)
