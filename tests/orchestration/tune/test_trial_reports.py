"""What Tune is told of each trial."""

from l2rw_ray.events import EpochCompleted, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.orchestration.tune.trial_reports import (
    CLASSES,
    LOST,
    RUNNING,
    STATUS,
    STEPS,
    TIME,
    TrialReports,
)

START = TrialStarted("a", 1, 1, "cpu", "a core", 60, 3, {}, {"cat": 40, "dog": 20})
END = TrialEnded("a", TrialStatus.COMPLETED, 3, 9, 1.5, {"test_loss": 0.5})


def _epoch(epoch: int) -> EpochCompleted:
    return EpochCompleted("a", epoch, 3 * epoch, 0.5, {"train_loss": 1.0 / epoch})


def test_only_the_newest_epoch_is_told() -> None:
    reports = TrialReports(with_epochs=True)
    for event in (START, _epoch(1), _epoch(2)):
        reports(event)
    assert reports.wait(["b", "a"], 0.0) == ("a", {"train_loss": 0.5, TIME: 2, STEPS: 6, STATUS: RUNNING})
    assert reports.wait(["a"], 0.0) is None
    assert reports.take_end("a") is None


def test_the_last_epoch_comes_with_the_end() -> None:
    reports = TrialReports(with_epochs=True)
    for event in (START, _epoch(3)):
        reports(event)
    assert reports.wait(["a"], 0.0) is None
    reports(END)
    outcome = {STATUS: "completed", "reason": None, "duration_s": 1.5, CLASSES: 2}
    end = {"test_loss": 0.5, TIME: 3, STEPS: 9, **outcome}
    assert reports.take_end("a") == end
    assert reports.wait(["a"], 0.0) is None, "it is told once"


def test_without_a_scheduler_only_the_end_is_told() -> None:
    reports = TrialReports(with_epochs=False)
    for event in (START, _epoch(1)):
        reports(event)
    assert reports.wait(["a"], 0.0) is None
    reports(END)
    assert reports.wait(["a"], None) is not None


def test_all_trials_are_lost_with_the_broker() -> None:
    reports = TrialReports(with_epochs=True)
    reports(START)
    reports.give_up()
    assert reports.wait(["a"], None) == ("a", {STATUS: LOST})
    assert reports.take_end("b") == {STATUS: LOST}
