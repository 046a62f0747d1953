"""The smallest effective level: all levels at the study's seeds, then more seeds where the answer is open."""

import math
from collections import deque
from collections.abc import Mapping, Sequence

from l2rw_ray.config import PlannedTrial, StudySpec, trial_fingerprint
from l2rw_ray.config.design.minimum_effective import MinimumEffectiveDesign
from l2rw_ray.planning.plan import configure
from l2rw_ray.planning.strategies.interface import Ledger, finished_trials
from l2rw_ray.results.trial_result import TrialResult
from l2rw_ray.statistics.minimum_effective import (
    EffectiveLevel,
    effective_level,
    is_accuracy,
    look_sizes,
    worst_value,
)

_NOTHING = TrialResult("missing")


class MinimumEffectiveStrategy:
    """Returns trials in rounds; each round depends on the metrics of all rounds before.

    Args:
        spec: The study.
        design: Its design.
        ledger: Results of earlier trials, with the objective.
        retry_failed: Whether trials recorded as failed are run again.
    """

    ahead = 1

    def __init__(
        self, spec: StudySpec, design: MinimumEffectiveDesign, ledger: Ledger, *, retry_failed: bool = False
    ) -> None:
        self._spec, self._design, self.resources = spec, design, spec.resources
        self._ledger = dict(finished_trials(ledger, retry_failed=retry_failed))
        self._points = [
            configure(spec, {design.factor: level}, {design.factor: level}) for level in design.levels
        ]
        self._looks = look_sizes(len(spec.seed_values), max(design.most_seeds, len(spec.seed_values)))
        self._sizes = [self._looks[0]] * len(design.levels)
        self._under_way: set[str] = set()
        self._left: deque[PlannedTrial] = deque()
        self._advance()

    @property
    def planned(self) -> Sequence[PlannedTrial]:
        """All trials asked for so far, finished ones included, in plan order."""
        return [
            self._trial(place, number) for place, size in enumerate(self._sizes) for number in range(size)
        ]

    @property
    def remaining(self) -> int:
        """Largest number of trials still to finish, running ones included."""
        if self.is_done:
            return 0
        most, budget = self._looks[-1] * len(self._points), self._design.budget
        limit = min(most, budget.trials) if budget is not None and budget.trials is not None else most
        known = len(self.planned)
        return len(self._left) + len(self._under_way) + max(limit, known) - known

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
        """Plan rounds until one has trials to run or the answer needs no more."""
        while True:
            self._left += [trial for trial in self.planned if trial.trial_id not in self._ledger]
            if self._left or not self._grow():
                return

    def _grow(self) -> bool:
        """Add seeds to the levels on which the answer depends, and to their rivals."""
        found = self.found
        rivals = (found.levels[place].rival for place in found.undecided)
        wanted = {*found.undecided, *(rival for rival in rivals if rival is not None)}
        grown = list(self._sizes)
        for place in wanted:
            if grown[place] == min(self._sizes[other] for other in wanted):
                grown[place] = next((size for size in self._looks if size > grown[place]), grown[place])
        if grown == self._sizes or not self._affords(sum(grown)):
            return False
        self._sizes = grown
        return True

    @property
    def found(self) -> EffectiveLevel:
        """Statistics of the levels so far, in the design's order."""
        metric = self._spec.objective.metric
        values: list[dict[int, float]] = [{} for _ in self._points]
        for trial in self.planned:
            result = self._ledger.get(trial.trial_id, _NOTHING)
            value = result.metrics.get(metric, math.nan)
            if result.status == "diverged":
                value = worst_value(metric, self._spec.objective.mode)
            if result.status == "diverged" or (result.status == "completed" and math.isfinite(value)):
                values[self._design.levels.index(trial.factors[self._design.factor])][trial.seed] = value
        return effective_level(
            values,
            self._design.margin,
            alpha=1 - self._design.confidence,
            looks=len(self._looks),
            cheapest_first=self._design.seek == "smallest",
            more_is_better=self._spec.objective.mode == "max",
            widest=1.0 if is_accuracy(metric) else None,
        )

    def _affords(self, trials: int) -> bool:
        budget = self._design.budget
        if budget is None:
            return True
        used_h = sum(self._ledger[trial.trial_id].duration_s for trial in self.planned) / 3600
        return trials <= (budget.trials or trials) and used_h < (budget.hours or math.inf)

    def _trial(self, place: int, number: int) -> PlannedTrial:
        given = self._spec.seed_values
        seed = given[number] if number < len(given) else max(given) + 1 + number - len(given)
        config, resources = self._points[place]
        levels = {self._design.factor: self._design.levels[place]}
        return PlannedTrial(trial_fingerprint(config, seed, resources), config, seed, resources, levels)
