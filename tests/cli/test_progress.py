"""What a run prints where nobody watches a terminal."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from l2rw_ray.cli.progress import ProgressDisplay
from l2rw_ray.config import parse_study
from l2rw_ray.events import AttemptLost, EpochCompleted, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.planning.plan import plan_study

METRIC = "validation_balanced_accuracy"


@pytest.fixture
def planned(study_tree):
    return plan_study(parse_study(study_tree | {"seeds": 1}))


@pytest.fixture
def printed(planned):
    """Has a run of two trials tell events; the lines that it prints."""

    def tell(*events, metric: str = METRIC, is_exact: bool = True) -> list[str]:
        text = io.StringIO()
        with ProgressDisplay(Console(file=text, width=120), "small", metric) as display:
            known = {trial.trial_id: trial for trial in planned}
            display.begin(known, len(planned), 1, is_exact=is_exact)
            for event in events:
                display(event)
        preparing, begun, *lines = text.getvalue().splitlines()
        assert preparing == "small  preparing"
        bound = "" if is_exact else "at most "
        assert begun == f"small  0 of {bound}2 trials done · 1 worker group · starting workers"
        return lines

    return tell


def started(trial) -> TrialStarted:
    return TrialStarted(trial.trial_id, 1, 1, "cpu", "a core", 60, 8, {}, {})


def epoch(trial, number: int) -> EpochCompleted:
    return EpochCompleted(trial.trial_id, number, 3 * number, 0.1, {METRIC: 0.5})


def ended(trial, status=TrialStatus.COMPLETED, **more) -> TrialEnded:
    return TrialEnded(trial.trial_id, status, 8, 24, 7.0, {METRIC: 0.625}, **more)


def test_a_line_for_each_trial(printed, planned):
    first, second = planned
    lines = printed(started(first), epoch(first, 1), ended(first), started(second), ended(second))
    metric = "validation balanced accuracy 62.5 %"
    assert lines == [f"1 of 2  {first.label}  {metric}  7.0 s", f"2 of 2  {second.label}  {metric}  7.0 s"]


def test_a_duration_that_selects_is_said_once(printed, planned):
    trial = planned[0]
    assert printed(started(trial), ended(trial), metric="duration_s") == [f"1 of 2  {trial.label}  7.0 s"]


def test_a_design_that_decides_as_it_goes_has_a_bound(printed, planned):
    (line,) = printed(started(planned[0]), ended(planned[0]), is_exact=False)
    assert line.startswith(f"1 of at most 2  {planned[0].label}")


def test_a_lost_attempt_has_a_line(printed, planned):
    trial = planned[0]
    lines = printed(started(trial), AttemptLost(trial.trial_id, 1, "worker lost"), ended(trial))
    assert lines[0] == f"retrying {trial.label}: worker lost"
    assert lines[1].startswith("1 of 2")


def test_failed_and_stopped_trials_have_a_line(printed, planned):
    first, second = planned
    lines = printed(
        *(started(first), ended(first, TrialStatus.FAILED, error="ValueError: no")),
        *(started(second), ended(second, TrialStatus.STOPPED)),
    )
    assert lines == [f"failed: {first.label}: ValueError: no", f"stopped after 8 epochs: {second.label}"]


def test_long_lines_are_not_broken(printed, planned):
    error = "ValueError: " + "no " * 60
    (line,) = printed(started(planned[0]), ended(planned[0], TrialStatus.FAILED, error=error))
    assert line == f"failed: {planned[0].label}: {error}"


def test_time_left_counts_what_was_trained_before(planned):
    display = ProgressDisplay(Console(file=io.StringIO()), "small", METRIC)
    display.begin({trial.trial_id: trial for trial in planned}, len(planned), 1, is_exact=True)
    epochs = planned[0].config.optim.epochs
    for trial in planned:
        display(replace(started(trial), history=tuple(epoch(trial, n + 1) for n in range(epochs - 1))))
        display(epoch(trial, epochs))
    assert display._eta_s is None, "nothing is left"


def test_epochs_left_are_those_after_the_checkpoint_that_a_trial_resumes_from(planned):
    display = ProgressDisplay(Console(file=io.StringIO()), "small", METRIC)
    display.begin({trial.trial_id: trial for trial in planned}, len(planned), 1, is_exact=True)
    first, epochs = planned[0], planned[0].config.optim.epochs
    display(started(first))
    for number in range(epochs):
        display(epoch(first, number + 1))
    assert display._epochs_left == epochs
    display(AttemptLost(first.trial_id, 1, "worker lost"))
    display(replace(started(first), attempt=2, history=(epoch(first, 1),)))
    assert display._epochs_left == 2 * epochs - 1
    display(ended(first, TrialStatus.STOPPED))
    assert display._epochs_left == epochs, "it is trained no further"


def test_a_warning_that_all_trials_have_is_printed_once(printed, planned):
    lines = printed(
        *(
            event
            for trial in planned
            for event in (started(trial), ended(trial, warnings=("30 %: check it",)))
        )
    )
    assert [line for line in lines if line.startswith("warning")] == [
        f"warning: {planned[0].label}: 30 %: check it"
    ]


@pytest.fixture
def display(planned, tmp_path):
    """The page of a run of two trials on a terminal of 12 lines."""
    console = Console(file=io.StringIO(), width=120, height=12, force_terminal=True)
    display = ProgressDisplay(console, "small", METRIC, "max", tmp_path)
    display.begin({trial.trial_id: trial for trial in planned}, len(planned), 2, is_exact=True)
    return display


def page_of(display) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(display.render())
    return console.file.getvalue()


def test_the_page_names_the_best_trial_and_the_last_failure_with_its_log(display, planned, tmp_path):
    first, second = planned
    (tmp_path / f"{second.trial_id}.log").write_text("output")
    display(started(first))
    display(ended(first))
    display(started(second))
    display(ended(second, TrialStatus.FAILED, error="ValueError: no\nmore"))
    page = page_of(display)
    assert f"best     validation balanced accuracy 62.5 % ({first.label})" in page
    assert f"failed   {second.label}: ValueError: no\n" in page
    assert f"log      {tmp_path / second.trial_id}.log" in page
    assert "2 of 2 trials done · up to 2 worker groups · 1 failed" in page


def test_less_is_better_where_the_study_says_so(planned):
    display = ProgressDisplay(Console(file=io.StringIO()), "small", "validation_loss", "min")
    display.begin({trial.trial_id: trial for trial in planned}, len(planned), 1, is_exact=True)
    for trial, loss in zip(planned, (0.5, 0.25), strict=True):
        display(started(trial))
        display(replace(ended(trial), metrics={"validation_loss": loss}))
    assert f"best     validation loss 0.25 ({planned[1].label})" in page_of(display)


def test_more_trials_than_lines_are_counted(display, planned):
    known = {str(number): planned[0] for number in range(20)}
    display.begin(known, 20, 20, is_exact=True)
    for trial_id in known:
        display(replace(started(planned[0]), trial_id=trial_id))
    page = page_of(display)
    assert page.count(planned[0].label) == 4
    assert "and 16 more" in page
