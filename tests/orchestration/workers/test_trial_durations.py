"""How long trials take, from their events."""

import pytest

from l2rw_ray.events import AttemptLost, EpochCompleted, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.orchestration.workers.trial_durations import TrialDurations


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def durations(clock: Clock) -> TrialDurations:
    return TrialDurations(clock)


def _start(trial: str, history: int = 0) -> TrialStarted:
    epochs = tuple(_epoch(trial, number + 1) for number in range(history))
    return TrialStarted(trial, 1, 1, "cpu", "a core", 60, 10, {}, {}, history=epochs)


def _epoch(trial: str, epoch: int) -> EpochCompleted:
    return EpochCompleted(trial, epoch, epoch, 0.5, {})


def test_nothing_is_known_before_the_first_trial(durations: TrialDurations) -> None:
    assert durations.estimate_s() is None
    assert durations.first_started_at is None


def test_a_running_trial_takes_at_least_what_it_has_taken(durations: TrialDurations, clock: Clock) -> None:
    durations(_start("a"))
    clock.now += 3
    assert durations.estimate_s() == 3
    assert durations.first_started_at == 100


def test_epochs_tell_the_rest(durations: TrialDurations, clock: Clock) -> None:
    durations(_start("a", history=5))
    clock.now += 2
    durations(_epoch("a", 6))
    assert durations.estimate_s() == 10, "one of the five epochs that are left took two seconds"


def test_ended_trials_count_unless_one_runs_for_longer(durations: TrialDurations, clock: Clock) -> None:
    durations(_start("a"))
    durations(TrialEnded("a", TrialStatus.COMPLETED, 10, 10, 4.0))
    durations(TrialEnded("b", TrialStatus.STOPPED, 1, 1, 2.0))
    assert durations.estimate_s() == 3
    durations(_start("c"))
    clock.now += 60
    assert durations.estimate_s() == 60
    durations(AttemptLost("c", 1, "worker lost"))
    assert durations.estimate_s() == 3
