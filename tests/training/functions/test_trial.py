"""What a function reports becomes events; what it saves comes back; a plain loop sees the same."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from l2rw_ray import Trial, Verdict
from l2rw_ray.config import FunctionTrial, PlannedTrial, Resources
from l2rw_ray.config.functions.metrics import Metric
from l2rw_ray.config.run_options import CheckpointPolicy
from l2rw_ray.errors import InputError, NonFiniteError
from l2rw_ray.events import EpochCompleted, Event, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.training import CheckpointStore, TrainingOptions
from l2rw_ray.training.functions import running
from tests.training.functions.in_process import Killed

PLANNED = PlannedTrial("0123", FunctionTrial(function="json:dumps"), 3, Resources(), {})


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[Event]]:
    """Runs a function as a trial. Returns its events."""

    def run_as_trial(
        function: Callable[..., Any],
        answer: Callable[[Event], Verdict] = lambda event: Verdict.CONTINUE,
        metrics: dict[str, Metric] | None = None,
    ) -> list[Event]:
        events: list[Event] = []

        def emit(event: Event) -> Verdict:
            events.append(event)
            return answer(event)

        monkeypatch.setattr(running, "load", lambda path, field: function)
        store = CheckpointStore(tmp_path, PLANNED.trial_id, CheckpointPolicy(every_s=0))
        with suppress(Killed):
            running.run_trial(PLANNED, emit, TrainingOptions(checkpoints=store), metrics)
        return events

    return run_as_trial


def walk(trial: Trial) -> None:
    """Draw numbers from all generators, a sum per epoch."""
    saved = trial.restore()
    total = saved["total"] if saved else 0.0
    for epoch in range(saved.epoch if saved else 0, 4):
        total += random.random() + torch.rand(()).item()
        if trial.report({"total": total}, epoch=epoch, checkpoint={"total": total}) is Verdict.STOP:
            return
    trial.finish({"test_total": total + random.random()})


def reported(events: list[Event]) -> list[dict[str, float]]:
    return [dict(event.metrics) for event in events if isinstance(event, EpochCompleted | TrialEnded)]


def test_reports_are_epochs_and_the_end_has_the_latest_of_each(run: Callable[..., list[Event]]) -> None:
    def main(trial: Trial) -> None:
        assert trial.report({"loss": torch.tensor(2.0, requires_grad=True), "a": 1}) is Verdict.CONTINUE
        trial.report({"loss": 1.0}, epoch=1, step=20)
        trial.finish({"test_a": 0.5})

    started, first, second, ended = run(main)
    assert isinstance(started, TrialStarted)
    assert (first.epoch, first.step, second.epoch, second.step) == (1, 1, 2, 20)
    assert ended.metrics == {"loss": 1.0, "a": 1.0, "test_a": 0.5}
    assert (ended.status, ended.epochs, ended.steps) == (TrialStatus.COMPLETED, 2, 20)


def test_what_is_returned_is_final(run: Callable[..., list[Event]]) -> None:
    assert run(lambda seed: {"test_a": seed})[-1].metrics == {"test_a": 3.0}


def test_resuming_repeats_nothing_and_draws_the_same(run: Callable[..., list[Event]], tmp_path: Path) -> None:
    whole = run(walk)
    for file in (tmp_path / PLANNED.trial_id).iterdir():
        file.unlink()

    def kill(event: Event) -> Verdict:
        if isinstance(event, EpochCompleted) and event.epoch == 3:
            raise Killed
        return Verdict.CONTINUE

    assert len(reported(run(walk, kill))) == 3
    resumed = run(walk)
    assert [epoch.epoch for epoch in resumed[0].history] == [1, 2]
    assert [event.epoch for event in resumed if isinstance(event, EpochCompleted)] == [3, 4]
    assert resumed[-1].metrics == whole[-1].metrics
    assert [dict(epoch.metrics) for epoch in resumed[0].history] + reported(resumed) == reported(whole)


def test_a_function_that_does_not_ask_for_its_checkpoint_starts_over(run: Callable[..., list[Event]]) -> None:
    def main(trial: Trial) -> None:
        trial.report({"a": trial.attempt}, checkpoint=b"saved")

    run(main)
    first, again, epoch, _ = run(main)
    assert len(first.history) == 1
    assert again.history == ()
    assert epoch.epoch == 1


def test_a_stop_is_saved_at_once_and_ends_the_trial(run: Callable[..., list[Event]]) -> None:
    def stop(event: Event) -> Verdict:
        return Verdict.STOP if isinstance(event, EpochCompleted) else Verdict.CONTINUE

    assert run(walk, stop)[-1].status is TrialStatus.STOPPED
    assert len(run(walk)[0].history) == 1


@pytest.mark.parametrize("kind", ["mapping", "bytes", "file", "folder", "function"])
def test_any_kind_of_state_comes_back(kind: str, run: Callable[..., list[Event]], tmp_path: Path) -> None:
    file = tmp_path / "state" / "weights.bin"
    file.parent.mkdir()
    file.write_bytes(b"abc")
    mapping = {"weights": torch.arange(3.0), "nested": {"list": [1, (2, "x")], 3: None}}
    states = {"mapping": mapping, "bytes": b"abc", "file": file, "folder": file.parent}
    given: Any = (lambda: b"abc") if kind == "function" else states[kind]
    found: list[Any] = []

    def main(trial: Trial) -> None:
        saved = trial.restore()
        if saved is None:
            trial.report({"a": 1}, checkpoint=given)
            raise Killed
        found.append(saved.path.read_bytes() if kind == "file" else saved.state)
        if kind == "folder":
            found[0] = (saved.path / "weights.bin").read_bytes()

    run(main)
    run(main)
    if kind == "mapping":
        assert torch.equal(found[0].pop("weights"), torch.arange(3.0))
        assert found[0] == {"nested": {"list": [1, (2, "x")], 3: None}}
    else:
        assert found == [b"abc"]


@pytest.mark.parametrize(
    ("main", "error", "message"),
    [
        (lambda trial: trial.report({"a": float("nan")}), NonFiniteError, "non-finite a at step 1"),
        (lambda trial: trial.report({"a": "0.9"}), InputError, "a = '0.9': a metric of type str; report a"),
        (lambda trial: trial.report({"\ud800": 1.0}), InputError, "no name of a metric; use text"),
        (
            lambda trial: trial.report({"a": 10**5000}),
            InputError,
            "a = 'about 1e5000': a number too large for a float",
        ),
        (lambda trial: trial.report({"a": 1}, epoch=-1), InputError, "epoch = -1"),
        (lambda trial: (trial.finish(), trial.finish()), InputError, "finished already; call it once"),
        (lambda trial: (trial.finish(), trial.report({})), InputError, "report before finish"),
        (lambda trial: 3, InputError, "it returned a int; return metrics by name"),
        (
            lambda trial: trial.report({"a": 1}, checkpoint={"model": [object()]}),
            InputError,
            r"checkpoint.model\[0\] = 'object': no tensor and no plain value",
        ),
    ],
)
def test_what_cannot_be_recorded_fails_the_trial(
    main: Callable[..., Any], error: type[Exception], message: str, run: Callable[..., list[Event]]
) -> None:
    with pytest.raises(error, match=message):
        run(main)


def test_a_declared_metric_that_is_missing_is_a_warning(run: Callable[..., list[Event]]) -> None:
    ended = run(lambda trial: trial.finish({"test_acc": 1}), metrics={"test_accuracy": Metric(mode="max")})[
        -1
    ]
    assert ended.warnings == ("it did not report test_accuracy, only test_acc: report what metrics declares",)


def test_a_plain_loop_reports_the_same(run: Callable[..., list[Event]]) -> None:
    trial = Trial({}, seed=PLANNED.seed)
    trial.seed_everything()
    walk(trial)
    assert trial.metrics == run(walk)[-1].metrics
    assert len(trial.history) == 4
    assert (trial.rank, trial.world_size, trial.attempt, trial.trial_id) == (0, 1, 1, "")
