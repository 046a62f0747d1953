"""What a run says at its end."""

import shlex
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from l2rw_ray.cli.resumption import done_before
from l2rw_ray.cli.run import _failed_logs, _without_files, run_session
from l2rw_ray.config import PlannedTrial, StudySpec, parse_study
from l2rw_ray.orchestration.run import RunOptions, RunOutcome
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.planning.strategies.build import build_strategies
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.status import count_statuses
from tests.planning.playing import play, record


def test_logs_of_the_first_failed_trials_are_named_and_the_others_counted(
    study_tree: dict, tmp_path: Path
) -> None:
    spec = parse_study(study_tree | {"seeds": 4})
    planned, folder = plan_study(spec), StudyFolder(tmp_path)
    folder.create()
    folder.write_plan(spec, planned)
    for trial in planned[:7]:
        log = None if trial is planned[0] else f"logs/{trial.trial_id}.log"
        record(folder, trial, status="failed" if trial is not planned[1] else "completed", log=log)
    assert _failed_logs(folder) == [
        f"log      {tmp_path}/logs/{planned[2].trial_id}.log (uniform · seed 2)",
        f"log      {tmp_path}/logs/{planned[3].trial_id}.log (uniform · seed 3)",
        f"log      {tmp_path}/logs/{planned[4].trial_id}.log (l2rw · seed 0)",
        f"         and 2 more in {tmp_path}/logs",
    ]


def test_trials_that_ended_before_something_was_kept_are_counted(study_tree: dict, tmp_path: Path) -> None:
    spec = parse_study(study_tree | {"keep": {"models": True, "examples": True}})
    planned, folder = plan_study(spec), StudyFolder(tmp_path)
    folder.create()
    folder.write_plan(spec, planned)
    for trial in planned[:3]:
        record(folder, trial, status="completed")
    folder.examples.mkdir()
    folder.examples_file(planned[0].trial_id).touch()
    assert _without_files(folder) == {"models": 3, "examples": 2}


@pytest.fixture
def run(study_tree: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a study of four trials in `tmp_path` with a fake run; returns the exit code."""

    def session(run_missing_trials: Callable[..., RunOutcome], **changes: object) -> int:
        monkeypatch.setattr("l2rw_ray.cli.run.run_missing_trials", run_missing_trials)
        monkeypatch.setattr("l2rw_ray.cli.run.bytecode_hint", lambda: None)
        before = signal.getsignal(signal.SIGTERM)
        try:
            spec = parse_study(study_tree | changes)
            return run_session(spec, StudyFolder(tmp_path / "out"), RunOptions(), None)
        finally:
            signal.signal(signal.SIGTERM, before)

    return session


def test_the_command_at_the_end_can_be_pasted(
    study_tree: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(
        spec: StudySpec, planned: Sequence[PlannedTrial], folder: StudyFolder, *_: object, **__: object
    ) -> RunOutcome:
        folder.write_plan(spec, planned)
        return RunOutcome({"completed": 0, "failed": 0, "diverged": 0, "missing": 4})

    monkeypatch.setattr("l2rw_ray.cli.run.run_missing_trials", ended)
    folder, before = StudyFolder(tmp_path / "my study?"), signal.getsignal(signal.SIGTERM)
    try:
        run_session(parse_study(study_tree), folder, RunOptions(), None)
    finally:
        signal.signal(signal.SIGTERM, before)
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("compare  ")
    assert shlex.split(command) == ["l2rw-ray", "ui", str(folder.path)]


def test_ctrl_c_before_the_first_trial_says_that_nothing_is_lost(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object, **_: object) -> RunOutcome:
        raise KeyboardInterrupt

    assert run(interrupted) == 130
    line = "Interrupted. Run the same command again to resume."
    assert capsys.readouterr().out.splitlines() == ["small  preparing", line]


def test_a_resumed_run_says_how_many_trials_are_recorded(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object, **_: object) -> RunOutcome:
        observe = arguments[4]
        observe({}, 3, 1, is_exact=True)
        raise KeyboardInterrupt

    assert run(interrupted) == 130
    assert "resumed  1 of 4 trials were done before" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("is_published", [False, True])
def test_a_resumed_search_says_how_many_trials_are_recorded(
    study_tree: dict, tmp_path: Path, is_published: bool
) -> None:
    space = {"optim.lr": {"kind": "float", "low": 0.001, "high": 1.0}}
    arms = {"uniform": {"set": {"method.name": "uniform"}}, "l2rw": {"set": {"method.name": "l2rw"}}}
    design = {"kind": "tuned_comparison", "arms": arms, "space": space, "budget": {"trials": 2}}
    spec = parse_study(study_tree | {"design": design, "seeds": 2})
    folder = StudyFolder(tmp_path / "search")
    folder.create()
    folder.write_plan(spec, [])
    assert done_before(folder) is None
    play(spec, folder, trials=5)
    if is_published:  # without what the sampler has stored
        shutil.copytree(folder.path / "trials", tmp_path / "published" / "trials")
        folder = StudyFolder(tmp_path / "published")
        folder.create()
    (strategy,) = build_strategies(spec, plan_study(spec), folder)
    if not is_published:
        folder.write_plan(spec, strategy.planned)
        assert done_before(folder) == "resumed  5 trials were done before"
    assert strategy.ask() is not None
    folder.write_plan(spec, strategy.planned)
    assert done_before(folder) == "resumed  5 trials were done before"


def ending(status: str) -> Callable[..., RunOutcome]:
    """Returns a fake run in which all trials end in one way."""

    def run_missing_trials(
        spec: StudySpec,
        planned: Sequence[PlannedTrial],
        folder: StudyFolder,
        *_: object,
        when_recorded: Callable[[RunOutcome], object],
        **__: object,
    ) -> RunOutcome:
        folder.write_plan(spec, planned)
        for trial in planned:
            record(folder, trial, status=status)
        outcome = RunOutcome(count_statuses(folder.path))
        when_recorded(outcome)
        return outcome

    return run_missing_trials


def test_a_run_in_which_all_trials_failed_has_a_report(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ending("failed")) == 1
    assert "4 failed" in capsys.readouterr().out
    assert (tmp_path / "out" / "report" / "report.html").is_file()


def test_a_run_with_nothing_to_report_on_says_so(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ending("failed"), report="scaling") == 1
    assert "report   none: study folder = " in capsys.readouterr().out


def test_a_report_that_cannot_be_written_is_no_success(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report").touch()
    assert run(ending("completed")) == 1
    printed = capsys.readouterr().out
    assert "4 completed" in printed
    assert "report   none: report folder = " in printed
    assert f"`l2rw-ray report {tmp_path / 'out'}` writes it once this is fixed" in printed


@pytest.mark.parametrize("mirrors", [True, False])
def test_a_run_without_mlflow_has_no_mirror(
    study_tree: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirrors: bool
) -> None:
    seen: list[list[str]] = []

    def run_none(
        spec: StudySpec,
        planned: Sequence[PlannedTrial],
        folder: StudyFolder,
        _: object,
        observe: Callable,
        **__: object,
    ) -> RunOutcome:
        folder.write_plan(spec, planned)
        seen.append([type(each).__name__ for each in observe({}, 4, 1, is_exact=True)])
        return RunOutcome({"completed": 0, "failed": 0, "diverged": 0, "missing": 4})

    monkeypatch.setattr("l2rw_ray.cli.run.run_missing_trials", run_none)
    before = signal.getsignal(signal.SIGTERM)
    try:
        folder = StudyFolder(tmp_path / "out")
        run_session(parse_study(study_tree), folder, RunOptions(), None, mirrors=mirrors)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ("Mirror" in seen[0]) == mirrors
