"""The trials of a search: each configuration that Optuna proposes, at each seed."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from l2rw_ray.config import PlannedTrial
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning.strategies.interface import Ledger, finished_trials
from l2rw_ray.planning.strategies.optuna_study import OptunaStudy, ProposedTrial
from l2rw_ray.planning.strategies.search_spec import SearchSpec
from l2rw_ray.results.trial_result import TrialResult, with_costs

_MAX_REPEATED_PROPOSALS = 100
"""Consecutive known or invalid proposals after which the space counts as exhausted."""
_MAX_REPEATED_WHILE_RUNNING = 5
"""The same while trials are running, whose results the sampler lacks."""


@dataclass
class _Configuration:
    """A proposal, its trials and their results."""

    proposal: ProposedTrial
    trials: list[PlannedTrial]
    results: dict[str, TrialResult] = field(default_factory=dict)
    is_told: bool = False
    repeats: list[ProposedTrial] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return len(self.results) == len(self.trials)

    @property
    def is_lost(self) -> bool:
        """Whether a trial did not complete, so that the configuration has no result."""
        return any(result.status != "completed" for result in self.results.values())

    def objectives(self, metrics: Sequence[str]) -> list[float] | None:
        """Return means over its seeds; None while some are missing, NaN where a trial lacks the metric."""
        if self.is_lost or not self.is_complete:
            return None
        found = [with_costs(result.metrics) for result in self.results.values()]
        return [fmean(each.get(metric, math.nan) for each in found) for metric in metrics]


class SearchStrategy:
    """Returns trials of proposed configurations until the budget is used; resumes earlier runs.

    Args:
        search_spec: What is searched.
        optuna_study: Asks and tells Optuna.
        ledger: Results of earlier trials.
        retry_failed: Whether failed configurations are run again.
    """

    ahead = 0

    def __init__(
        self,
        search_spec: SearchSpec,
        optuna_study: OptunaStudy,
        ledger: Ledger,
        *,
        retry_failed: bool = False,
    ) -> None:
        self._search, self._optuna_study = search_spec, optuna_study
        self.resources = search_spec.spec.resources
        self._ledger = dict(finished_trials(ledger, retry_failed=retry_failed))
        self._configurations: dict[int, _Configuration] = {}
        self._number_of: dict[str, int] = {}
        self._left: deque[PlannedTrial] = deque()
        self._under_way: set[str] = set()
        self._is_exhausted = optuna_study.is_exhausted
        for proposal in optuna_study.proposals():
            self._take_up_earlier(proposal)

    @property
    def search_spec(self) -> SearchSpec:
        """What is searched."""
        return self._search

    @property
    def planned(self) -> Sequence[PlannedTrial]:
        """All trials asked for so far, finished ones included, in plan order."""
        return [trial for found in self._configurations.values() for trial in found.trials]

    @property
    def remaining(self) -> int | None:
        """Largest number of trials still to finish; None while only hours bound it."""
        asked, limit = len(self._left) + len(self._under_way), self._search.design.budget.trials
        if self._is_spent or self._is_exhausted:
            return asked
        return (
            None if limit is None else asked + len(self._search.seeds) * (limit - len(self._configurations))
        )

    @property
    def is_done(self) -> bool:
        """Whether `ask` will return no further trial."""
        return not self._left and (self._is_exhausted or self._is_spent)

    @property
    def is_over(self) -> bool:
        """Whether it is done and no trial is running."""
        return self.is_done and not self._under_way

    def ask(self) -> PlannedTrial | None:
        """Return the next trial to run; None while there is none."""
        while not self._left and not self.is_done and self._propose():
            pass
        if not self._left:
            return None
        trial = self._left.popleft()
        self._under_way.add(trial.trial_id)
        return trial

    def report(self, trial_id: str, epoch: float, metrics: Mapping[str, float]) -> None:
        """Record metrics of a running trial."""
        value = metrics.get(self._search.metrics[0][0], math.nan)
        found = self._configurations[self._number_of[trial_id]]
        is_whole = float(epoch).is_integer()  # Optuna takes no others
        if self._search.prunes and not found.is_told and math.isfinite(value) and is_whole:
            self._optuna_study.report(found.proposal.number, int(epoch), value)

    def tell(self, trial_id: str, result: TrialResult) -> None:
        """Record the result of a trial that `ask` returned."""
        self._under_way.discard(trial_id)
        if result.is_final:
            found = self._configurations[self._number_of[trial_id]]
            found.results[trial_id] = result
            self._conclude(found)

    @property
    def best(self) -> PlannedTrial | None:
        """The first trial of the configuration with the best first objective; None where none completed."""
        metric, mode = self._search.metrics[0]
        sign = 1 if mode == "max" else -1
        scored = [
            (sign * values[0], -number)
            for number, found in self._configurations.items()
            if (values := found.objectives([metric])) is not None and math.isfinite(values[0])
        ]
        return self._configurations[-max(scored)[1]].trials[0] if scored else None

    def importances(self) -> dict[str, float]:
        """Return parameter importances for the first objective."""
        return self._optuna_study.importances()

    @property
    def _is_spent(self) -> bool:
        budget = self._search.design.budget
        if budget.trials is not None and len(self._configurations) >= budget.trials:
            return True
        results = (result for found in self._configurations.values() for result in found.results.values())
        used_h = sum(result.duration_s for result in results) / 3600
        return budget.hours is not None and used_h >= budget.hours

    def _propose(self) -> bool:
        """Add the next configuration that is valid and new. Returns False if only known ones come."""
        invalid: ConfigError | None = None
        for _ in range(_MAX_REPEATED_WHILE_RUNNING if self._under_way else _MAX_REPEATED_PROPOSALS):
            proposal = self._optuna_study.ask()
            try:
                found = _Configuration(proposal, self._search.trials(proposal.values))
            except ConfigError as error:
                self._optuna_study.tell(proposal.number, None)
                invalid = error
                continue
            known = self._number_of.get(found.trials[0].trial_id)
            if known is None:
                self._take_up(found)
                return True
            self._tell_as(self._configurations[known], proposal)
        if invalid is not None and not self._configurations:
            raise invalid
        if not self._under_way:  # else the sampler may know better when they have ended
            self._is_exhausted = True
            if invalid is None:
                self._optuna_study.note_exhausted()
        return False

    def _tell_as(self, known: _Configuration, proposal: ProposedTrial) -> None:
        """Tell Optuna a repeated proposal's result as soon as it is known."""
        known.repeats.append(proposal)
        if known.is_lost or known.is_complete:
            self._tell(known)

    def _take_up_earlier(self, proposal: ProposedTrial) -> None:
        """Resume a proposal of an earlier run; a failed one to be retried is proposed again."""
        try:
            found = _Configuration(proposal, self._search.trials(proposal.values))
        except ConfigError:
            return
        known = self._number_of.get(found.trials[0].trial_id)
        if known is not None:
            if proposal.state == "open":
                self._tell_as(self._configurations[known], proposal)
            return
        if proposal.state in ("failed", "pruned"):
            recorded = [trial for trial in found.trials if trial.trial_id in self._ledger]
            is_lost = any(self._ledger[trial.trial_id].status != "completed" for trial in recorded)
            if not is_lost and len(recorded) < len(found.trials):
                self._take_up(_Configuration(self._optuna_study.re_ask(proposal.values), found.trials))
                return
            found.trials = recorded
        found.is_told = proposal.state != "open"
        self._take_up(found)

    def _take_up(self, found: _Configuration) -> None:
        self._configurations[found.proposal.number] = found
        for trial in found.trials:
            self._number_of[trial.trial_id] = found.proposal.number
            if trial.trial_id in self._ledger:
                found.results[trial.trial_id] = self._ledger[trial.trial_id]
            else:
                self._left.append(trial)
        self._conclude(found)

    def _conclude(self, found: _Configuration) -> None:
        """Tell Optuna the result of a finished configuration; drop seeds that can add nothing."""
        if found.is_lost:
            dropped = [trial for trial in found.trials if trial in self._left]
            found.trials = [trial for trial in found.trials if trial not in dropped]
            self._left = deque(trial for trial in self._left if trial not in dropped)
        if found.is_lost or found.is_complete:
            self._tell(found)

    def _tell(self, found: _Configuration) -> None:
        waiting = found.repeats if found.is_told else [found.proposal, *found.repeats]
        found.is_told, found.repeats = True, []
        pruned = any(result.status == "stopped" for result in found.results.values())
        for proposal in waiting:
            self._optuna_study.tell(proposal.number, found.objectives(self._metrics), pruned=pruned)

    @property
    def _metrics(self) -> list[str]:
        return [metric for metric, _ in self._search.metrics]
