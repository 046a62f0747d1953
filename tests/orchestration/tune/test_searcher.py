"""The searcher between strategies and Tune, with a fake broker."""

from collections.abc import Mapping

import pytest
from ray.tune.search import Searcher

from l2rw_ray.config import PlannedTrial, Resources, parse_study
from l2rw_ray.events import TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.orchestration.tune.early_stopping import early_stopping
from l2rw_ray.orchestration.tune.searcher import TuneSearcher
from l2rw_ray.orchestration.tune.trial_reports import RUNNING, TrialReports
from l2rw_ray.planning.plan import by_resources, plan_study
from l2rw_ray.planning.strategies.fixed import FixedStrategy
from l2rw_ray.results.trial_result import TrialResult

REPORTS = TrialReports(with_epochs=True)
"""Of which nothing is ever heard."""


class _Strategy(FixedStrategy):
    """A list that remembers epochs and results."""

    def __init__(self, trials: tuple[PlannedTrial, ...]) -> None:
        super().__init__(trials)
        self.epochs: list[tuple[str, int]] = []
        self.results: dict[str, TrialResult] = {}

    def report(self, trial_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
        self.epochs.append((trial_id, epoch))

    def tell(self, trial_id: str, result: TrialResult) -> None:
        self.results[trial_id] = result


class _Broker:
    def __init__(self) -> None:
        self.begun: list[str] = []
        self.submitted: list[str] = []
        self.complete_kinds: list[Resources] = []
        self.cancelled: list[str] = []

    def begin(self, trial: PlannedTrial) -> None:
        self.begun.append(trial.trial_id)

    def submit(self, trial: PlannedTrial) -> None:
        assert self.begun[-1] == trial.trial_id, "a trial is recorded before it is submitted"
        self.submitted.append(trial.trial_id)

    def complete(self, resources: Resources) -> None:
        self.complete_kinds.append(resources)

    def cancel(self, trial_id: str, reason: str) -> None:
        self.cancelled.append(trial_id)


class _Pool:
    def __init__(self, groups: Mapping[Resources, int] | None = None) -> None:
        self.groups, self.remaining = groups, {}

    def expect(self, remaining: Mapping[Resources, int | None]) -> None:
        self.remaining = dict(remaining)

    def number(self, resources: Resources) -> int:
        return 4 if self.groups is None else self.groups.get(resources, 0)


@pytest.fixture
def trials(study_tree: dict) -> tuple[PlannedTrial, ...]:
    return plan_study(parse_study(study_tree | {"seeds": 1}))


def test_a_strategy_gets_the_end_of_its_trial(trials) -> None:
    strategy, broker = _Strategy(trials), _Broker()
    searcher = TuneSearcher([strategy], broker, REPORTS, _Pool(), broker.begin)
    assert searcher.suggest("a") == {"trial_id": trials[0].trial_id}
    searcher.on_trial_result("a", {"status": RUNNING, "epoch": 1, "validation_loss": 0.5})
    ended = {"status": "failed", "reason": "ValueError: no", "duration_s": 2.0, "epoch": 1}
    searcher.on_trial_complete("a", ended)
    assert strategy.epochs == [(trials[0].trial_id, 1)]
    result = strategy.results[trials[0].trial_id]
    assert (result.status, result.reason, result.duration_s) == ("failed", "ValueError: no", 2.0)
    assert broker.cancelled == []


def test_a_strategy_is_told_the_number_of_classes(trials) -> None:
    strategy, broker, reports = _Strategy(trials[:1]), _Broker(), TrialReports(with_epochs=True)
    searcher = TuneSearcher([strategy], broker, reports, _Pool(), broker.begin)
    searcher.suggest("a")
    trial_id = trials[0].trial_id
    counts = {"cat": 30, "dog": 10}
    reports(TrialStarted(trial_id, 1, 1, "cpu", "none", 40, epochs=2, split_hashes={}, class_counts=counts))
    reports(TrialEnded(trial_id, TrialStatus.DIVERGED, 1, 3, 2.0))
    searcher.on_trial_complete("a", reports.take_end(trial_id))
    assert strategy.results[trial_id].classes == 2


@pytest.mark.parametrize("status", [TrialStatus.STOPPED, TrialStatus.COMPLETED])
def test_a_stopped_trial_keeps_running_until_it_has_ended(trials, status) -> None:
    strategy, broker = _Strategy(trials[:1]), _Broker()
    reports = TrialReports(with_epochs=True)
    searcher = TuneSearcher([strategy], broker, reports, _Pool(), broker.begin)
    searcher.suggest("a")
    assert searcher.suggest("a2") is None, "it may still be stopped"
    searcher.on_trial_complete("a", {"status": RUNNING, "epoch": 3})
    assert broker.cancelled == [trials[0].trial_id]
    assert searcher.suggest("b") is None, "the run waits for it"
    assert strategy.results == {}
    metrics = {"validation_loss": 0.25}
    reports(TrialEnded(trials[0].trial_id, status, 4, 12, 8.0, metrics))
    assert searcher.suggest("c") == Searcher.FINISHED
    result = strategy.results[trials[0].trial_id]
    assert (result.status, result.duration_s, result.metrics) == (status.value, 8.0, metrics)


def test_the_next_trial_waits_for_the_group_of_one_that_is_stopped(study_tree: dict) -> None:
    trials = plan_study(parse_study(study_tree | {"seeds": 2}))
    strategy, broker = _Strategy(trials), _Broker()
    strategy.ahead = 0
    searcher = TuneSearcher([strategy], broker, REPORTS, _Pool({trials[0].resources: 1}), broker.begin)
    searcher.suggest("a")
    assert searcher.suggest("b") is None
    searcher.on_trial_complete("a", {"status": RUNNING, "epoch": 3})
    assert searcher.suggest("c") == {"trial_id": trials[1].trial_id}, "Tune has to have one to follow"


def test_each_kind_of_trial_is_handed_out_as_its_groups_allow(study_tree: dict) -> None:
    study_tree["design"]["factors"]["resources.workers"] = [1, 2]
    groups = by_resources(plan_study(parse_study(study_tree | {"seeds": 2})))
    (one, alone), (two, together) = groups.items()
    broker, pool = _Broker(), _Pool({one: 1})
    searcher = TuneSearcher(
        [_Strategy(tuple(alone)), _Strategy(tuple(together))], broker, REPORTS, pool, broker.begin
    )
    given = [searcher.suggest(str(number)) for number in range(4)]
    assert [each["trial_id"] for each in given[:3]] == [
        *(trial.trial_id for trial in alone[:2]),
        together[0].trial_id,
    ], "one runs and one waits; resources without worker groups have one that waits for them"
    assert given[3] is None
    assert pool.remaining == {one: len(alone) - 2, two: len(together) - 1}, "the pool knows at once"
    pool.groups = {one: len(alone), two: len(together)}
    given = [searcher.suggest(f"{number} more") for number in range(len(alone) + len(together) - 3)]
    assert all(isinstance(each, dict) for each in given)
    assert searcher.suggest("z") is None, "Tune may still stop the last ones, whose ends are waited for"
    assert len(broker.submitted) == len(alone) + len(together)
    assert set(broker.complete_kinds) == {one, two}, "worker groups exit when no more trials will come"


def test_a_run_that_is_lost_does_not_wait_for_a_trial_it_has_stopped(trials) -> None:
    strategy, broker, reports = _Strategy(trials[:1]), _Broker(), TrialReports(with_epochs=True)
    searcher = TuneSearcher([strategy], broker, reports, _Pool(), broker.begin)
    searcher.suggest("a")
    searcher.on_trial_complete("a", {"status": RUNNING, "epoch": 3})
    reports.give_up()
    assert searcher.suggest("b") == Searcher.FINISHED
    assert not strategy.results[trials[0].trial_id].is_final


def test_idle_groups_leave_once_the_last_trial_is_submitted(trials) -> None:
    strategy, broker = _Strategy(trials[:2]), _Broker()
    searcher = TuneSearcher([strategy], broker, REPORTS, _Pool(), broker.begin)
    searcher.suggest("a")
    assert broker.complete_kinds == []
    searcher.suggest("b")
    assert broker.complete_kinds == [trials[0].resources]


@pytest.mark.parametrize("result", [{"status": "lost"}, None])
def test_nothing_is_begun_once_the_broker_is_lost(trials, result) -> None:
    strategy, broker = _Strategy(trials), _Broker()
    searcher = TuneSearcher([strategy], broker, REPORTS, _Pool(), broker.begin)
    searcher.suggest("a")
    searcher.on_trial_complete("a", result, error=result is None)
    assert not strategy.results[trials[0].trial_id].is_final
    assert searcher.suggest("b") == Searcher.FINISHED
    assert len(broker.submitted) == 1


def test_only_searches_stop_trials_early(study_tree: dict) -> None:
    assert early_stopping(parse_study(study_tree)) is None
    space = {"optim.epochs": {"kind": "int", "low": 2, "high": 9}}
    design = {"kind": "search", "space": space, "budget": {"trials": 2}}
    study_tree |= {"seeds": 1}
    for stopping in ("asha", "median"):
        spec = parse_study(study_tree | {"design": design | {"stopping": {"name": stopping}}})
        assert early_stopping(spec) is not None
