"""Every trial is in exactly one place, and leaves by exactly one ending."""

from dataclasses import replace

import pytest

from l2rw_ray.config import Limits, PlannedTrial, Resources, parse_study
from l2rw_ray.errors import NonFiniteError
from l2rw_ray.events import AttemptLost, EpochCompleted, Event, TrialEnded, TrialStarted, TrialStatus, Verdict
from l2rw_ray.orchestration.broker.failure_policy import MAX_ATTEMPTS_WITHOUT_PROGRESS as MOST
from l2rw_ray.orchestration.broker.failure_policy import Fault
from l2rw_ray.orchestration.broker.trial_queue import (
    EndedGroup,
    Lease,
    PendingTrials,
    TrialQueue,
    WorkerGroupCommand,
)
from l2rw_ray.orchestration.watchdog import HANG_GRACE_S
from l2rw_ray.planning.plan import plan_study

ONE, TWO = Resources(), Resources(workers=2)


@pytest.fixture
def trials(study_tree: dict) -> tuple[PlannedTrial, ...]:
    return plan_study(parse_study(study_tree))


@pytest.fixture
def queue(trials: tuple[PlannedTrial, ...]) -> TrialQueue:
    queue = TrialQueue()
    for trial in trials:
        queue.submit(trial)
    return queue


def _drained(queue: TrialQueue) -> list[Event]:
    """Return the events since the last call, except losses."""
    return [event for event in queue.drain() if not isinstance(event, AttemptLost)]


def _epoch(trial: PlannedTrial, epoch: int = 1) -> EpochCompleted:
    return EpochCompleted(trial.trial_id, epoch, 3 * epoch, 0.5, {"train_loss": 1.0})


def _end(trial: PlannedTrial, status: TrialStatus = TrialStatus.COMPLETED) -> TrialEnded:
    return TrialEnded(trial.trial_id, status, 2, 6, 1.0)


def _start(trial: PlannedTrial) -> TrialStarted:
    return TrialStarted(trial.trial_id, 1, 1, "cpu", "a core", 60, 2, {}, {})


def _lose(queue: TrialQueue, group: str, fault: Fault = Fault.WORKER_LOST) -> bool:
    """Lose a worker group. Returns whether it held a trial."""
    return queue.group_ended(group, fault).held_trial


def test_trials_are_leased_in_order_and_each_once(
    queue: TrialQueue, trials: tuple[PlannedTrial, ...]
) -> None:
    assert queue.lease("a", ONE) == Lease(trials[0], 1)
    assert queue.lease("b", ONE) == Lease(trials[1], 1)
    assert queue.report(_start(trials[0]), 1) is Verdict.CONTINUE
    assert queue.report(_end(trials[0]), 1) is Verdict.CONTINUE
    assert queue.lease("a", ONE) == Lease(trials[2], 1)
    assert queue.running() == (trials[1].trial_id, trials[2].trial_id)


def test_groups_wait_while_open_and_leave_when_closed() -> None:
    queue = TrialQueue()
    assert queue.lease("a", ONE) is WorkerGroupCommand.WAIT
    assert queue.pending() == {ONE: PendingTrials(0, idle=1)}
    queue.close()
    assert queue.lease("a", ONE) is WorkerGroupCommand.LEAVE


def test_each_kind_of_group_trains_its_own_and_leaves_when_no_more_will_come(study_tree: dict) -> None:
    study_tree["design"]["factors"]["resources.workers"] = [1, 2]
    trials = plan_study(parse_study(study_tree | {"seeds": 1}))
    alone = next(trial for trial in trials if trial.resources.workers == 1)
    together = next(trial for trial in trials if trial.resources.workers == 2)
    queue = TrialQueue()
    queue.submit(alone)
    queue.submit(together)
    assert queue.lease("b", TWO) == Lease(together, 1)
    assert queue.pending() == {ONE: PendingTrials(1), TWO: PendingTrials(0, running=1)}
    queue.complete(ONE)
    assert queue.lease("a", ONE) == Lease(alone, 1), "what waits is trained first"
    assert queue.pending()[ONE] == PendingTrials(0, running=1), "who trains is not idle"
    assert queue.lease("c", ONE) is WorkerGroupCommand.LEAVE
    queue.report(_end(together), 1)
    assert queue.lease("b", TWO) is WorkerGroupCommand.WAIT, "the others' end is not theirs"


def test_trial_that_is_lost_too_often_fails(queue: TrialQueue, trials: tuple[PlannedTrial, ...]) -> None:
    for attempt in range(1, MOST + 1):
        assert queue.lease(f"group{attempt}", ONE) == Lease(trials[0], attempt)
        assert _lose(queue, f"group{attempt}")
    assert queue.lease("another", ONE) == Lease(trials[1], 1)
    *losses, ended = queue.drain()
    lost = Fault.WORKER_LOST.value
    assert losses == [AttemptLost(trials[0].trial_id, attempt, lost) for attempt in range(1, MOST)]
    assert isinstance(ended, TrialEnded)
    assert ended.status is TrialStatus.FAILED
    assert f"{MOST} attempts without progress" in str(ended.error)


def test_attempts_that_got_further_do_not_count(queue: TrialQueue, trials: tuple[PlannedTrial, ...]) -> None:
    for attempt in range(1, 4 * MOST + 1):
        assert queue.lease(f"group{attempt}", ONE) == Lease(trials[0], attempt)
        epochs = [_epoch(trials[0], epoch + 1) for epoch in range(attempt // 2)]
        queue.report(replace(_start(trials[0]), history=tuple(epochs[:-1])), attempt)
        if epochs:
            queue.report(epochs[-1], attempt)
        _lose(queue, f"group{attempt}")
    assert not [event for event in _drained(queue) if isinstance(event, TrialEnded)]


def test_each_loss_has_its_reason(queue: TrialQueue, trials: tuple[PlannedTrial, ...]) -> None:
    queue.lease("a", ONE)
    _lose(queue, "a", Fault.NODE_OUT_OF_MEMORY)
    assert queue.drain() == [AttemptLost(trials[0].trial_id, 1, Fault.NODE_OUT_OF_MEMORY.value)]


def test_the_same_epochs_again_are_no_progress(queue: TrialQueue, trials: tuple[PlannedTrial, ...]) -> None:
    for attempt in range(1, MOST + 2):
        assert queue.lease(f"group{attempt}", ONE) == Lease(trials[0], attempt)
        queue.report(_start(trials[0]), attempt)
        queue.report(_epoch(trials[0], 1), attempt)
        _lose(queue, f"group{attempt}")
    assert queue.lease("last", ONE) == Lease(trials[1], 1)
    assert isinstance(_drained(queue)[-1], TrialEnded)


def test_trial_of_a_group_that_is_gone_goes_to_another(
    queue: TrialQueue, trials: tuple[PlannedTrial, ...]
) -> None:
    queue.lease("a", ONE)
    assert queue.group_ended("a", None) == EndedGroup(has_joined=True, held_trial=True)
    assert queue.lease("b", ONE) == Lease(trials[0], 2)
    assert queue.group_ended("never seen", Fault.WORKER_LOST) == EndedGroup(False, False)


def test_worker_believed_lost_must_stop_and_is_not_recorded(
    queue: TrialQueue, trials: tuple[PlannedTrial, ...]
) -> None:
    queue.lease("a", ONE)
    _lose(queue, "a")
    queue.lease("b", ONE)
    assert queue.report(_epoch(trials[0]), 1) is Verdict.STOP
    assert not _drained(queue)
    assert queue.report(_epoch(trials[0]), 2) is Verdict.CONTINUE
    assert queue.has_news


def test_cancelled_trial_stops_at_its_next_report_with_the_reason(
    queue: TrialQueue, trials: tuple[PlannedTrial, ...]
) -> None:
    queue.lease("a", ONE)
    queue.cancel([trials[0].trial_id, trials[1].trial_id], "interrupted")
    assert queue.report(_epoch(trials[0]), 1) is Verdict.STOP
    queue.report(_end(trials[0], TrialStatus.STOPPED), 1)
    assert queue.drain()[-1].error == "interrupted"
    assert queue.lease("a", ONE) == Lease(trials[2], 1), "the one that waited is not run"


def test_exception_ends_the_trial_with_what_was_trained(
    queue: TrialQueue, trials: tuple[PlannedTrial, ...]
) -> None:
    queue.lease("a", ONE)
    queue.report(_epoch(trials[0]), 1)
    queue.fail(trials[0].trial_id, 1, 0, "ValueError: no labels", "Traceback …")
    assert queue.all_ranks_failed(trials[0].trial_id)
    ended = _drained(queue)[-1]
    assert (ended.status, ended.epochs, ended.steps) == (TrialStatus.FAILED, 1, 3)
    assert queue.lease("a", ONE) == Lease(trials[1], 1)


def test_nan_in_training_is_a_divergence(queue: TrialQueue, trials: tuple[PlannedTrial, ...]) -> None:
    queue.lease("a", ONE)
    queue.fail(trials[0].trial_id, 1, 0, f"NonFiniteError: {NonFiniteError(3, 'train_loss')}", "Traceback …")
    assert _drained(queue)[-1].status is TrialStatus.DIVERGED


def test_failure_on_one_of_two_ranks_waits_for_the_other(study_tree: dict) -> None:
    study_tree["resources"] = {"workers": 2}
    trial = plan_study(parse_study(study_tree))[0]
    queue = TrialQueue()
    queue.submit(trial)
    queue.lease("a", TWO)
    queue.fail(trial.trial_id, 1, 1, "error", "")
    assert not queue.all_ranks_failed(trial.trial_id)
    queue.fail(trial.trial_id, 1, 0, "error", "")
    assert queue.all_ranks_failed(trial.trial_id)
    assert len(_drained(queue)) == 1


def test_group_that_was_replaced_must_leave(queue: TrialQueue, trials: tuple[PlannedTrial, ...]) -> None:
    queue.lease("a", ONE)
    _lose(queue, "a")
    assert queue.lease("b", ONE) == Lease(trials[0], 2)
    assert queue.lease("a", ONE) is WorkerGroupCommand.LEAVE
    assert queue.running() == (trials[0].trial_id,)


def test_exception_of_a_lost_attempt_does_not_end_the_next(
    queue: TrialQueue, trials: tuple[PlannedTrial, ...]
) -> None:
    queue.lease("a", ONE)
    _lose(queue, "a")
    queue.lease("b", ONE)
    queue.fail(trials[0].trial_id, 1, 0, "RuntimeError: too late", "")
    assert not _drained(queue)


def test_failure_of_one_rank_ends_a_trial_for_good_while_the_other_is_inside(study_tree: dict) -> None:
    study_tree["resources"] = {"workers": 2}
    trials = plan_study(parse_study(study_tree))
    queue = TrialQueue()
    for trial in trials[:2]:
        queue.submit(trial)
    queue.lease("a", TWO)
    queue.fail(trials[0].trial_id, 1, 1, "over limits.duration_s", "the stack")
    assert queue.report(_epoch(trials[0]), 1) is Verdict.STOP
    queue.fail(trials[0].trial_id, 1, 0, "RuntimeError: what followed", "")
    assert not _lose(queue, "a")
    assert queue.lease("b", TWO) == Lease(trials[1], 1), "it is not retried"
    (ended,) = _drained(queue)
    assert (ended.status, ended.error, ended.traceback) == (
        TrialStatus.FAILED,
        "over limits.duration_s",
        "the stack",
    )


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _lost_after(study_tree: dict, held_s: float, limits: Limits) -> tuple[Lease | WorkerGroupCommand, list]:
    """Return what follows when a process is lost after its trial was leased for some time."""
    trial, clock = plan_study(parse_study(study_tree))[0], Clock()
    queue = TrialQueue(limits, clock)
    queue.submit(trial)
    queue.close()
    queue.lease("a", ONE)
    queue.report(_start(trial), 1)
    clock.now += held_s
    _lose(queue, "a")
    clock.now += 1000  # until others have taken their place
    return queue.lease("b", ONE), _drained(queue)[1:]


def test_trial_whose_process_ended_itself_after_its_time_is_over_its_limit(study_tree: dict) -> None:
    order, events = _lost_after(study_tree, 60 + HANG_GRACE_S, Limits(duration_s=60))
    assert order is WorkerGroupCommand.LEAVE
    (ended,) = events
    assert (ended.status, ended.traceback) == (TrialStatus.FAILED, None)
    assert ended.error == (
        "over limits.duration_s: still in epoch 1 after 60 s; raise limits.duration_s or shorten the trial"
    )


@pytest.mark.parametrize(("held_s", "limit_s"), [(59 + HANG_GRACE_S, 60), (5000, None)])
def test_trial_lost_within_its_limit_is_retried(
    study_tree: dict, held_s: float, limit_s: float | None
) -> None:
    order, events = _lost_after(study_tree, held_s, Limits(duration_s=limit_s))
    assert isinstance(order, Lease)
    assert (order.attempt, events) == (2, [])


def test_each_attempt_has_its_own_time_and_cause(queue: TrialQueue, trials: tuple[PlannedTrial, ...]) -> None:
    for attempt in range(1, MOST + 1):
        assert queue.lease(f"group{attempt}", ONE) == Lease(trials[0], attempt)
        _lose(queue, f"group{attempt}", Fault.NODE_OUT_OF_MEMORY if attempt == 1 else Fault.WORKER_LOST)
    (ended,) = _drained(queue)
    assert "ran out of memory" not in str(ended.error)


def test_loss_of_a_group_without_a_trial_has_no_effect(queue: TrialQueue) -> None:
    assert not _lose(queue, "a", Fault.NODE_OUT_OF_MEMORY)
    assert not queue.has_news


def test_an_end_is_worth_waking_up_for(queue: TrialQueue, trials: tuple[PlannedTrial, ...]) -> None:
    queue.lease("a", ONE)
    queue.report(_epoch(trials[0]), 1)
    assert queue.has_news
    assert not queue.has_end
    queue.report(_end(trials[0]), 1)
    assert queue.has_end


def test_released_groups_leave_after_their_trial_and_no_more_than_asked(
    queue: TrialQueue, trials: tuple[PlannedTrial, ...]
) -> None:
    groups = frozenset({"a", "b", "c"})
    for group in groups:
        queue.lease(group, ONE)
    queue.release(groups - {"c"}, 1)
    assert queue.running(), "nobody is interrupted"
    for trial in trials[:3]:
        queue.report(_end(trial), 1)
    assert isinstance(queue.lease("c", ONE), Lease), "it is not among those that may leave"
    assert queue.lease("b", ONE) is WorkerGroupCommand.LEAVE
    queue.release(groups, 1)
    assert not queue.is_released("a"), "one is leaving already"
    assert queue.lease("a", ONE) is WorkerGroupCommand.WAIT
    queue.group_ended("b", None)
    assert queue.lease("a", ONE) is WorkerGroupCommand.WAIT, "one was to leave, and it has left"
    queue.release(groups, 1)
    assert queue.lease("a", ONE) is WorkerGroupCommand.LEAVE
    queue.group_ended("a", None)
    queue.release(frozenset(), 0)
    assert not queue.is_released("c")
