"""What the commands print and return, without a cluster."""

import json
import re
import socket
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from l2rw_ray.events import EpochCompleted, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.writer import LedgerWriter
from tests.cli.conftest import Call, write_plan


@pytest.fixture
def folder(study_tree: dict, tmp_path: Path) -> StudyFolder:
    """A study of four trials of which one is completed, one failed, and one was interrupted."""
    folder = StudyFolder(tmp_path / "out")
    planned = write_plan(folder, study_tree)
    ledger = LedgerWriter(folder, {trial.trial_id: trial for trial in planned}, versions={}, commit=None)
    endings = [
        (TrialStatus.COMPLETED, None),
        (TrialStatus.FAILED, "ValueError: no"),
        (TrialStatus.STOPPED, "interrupted"),
    ]
    for trial, (status, error) in zip(planned, endings, strict=False):
        ledger(TrialStarted(trial.trial_id, 1, 1, "cpu", "a core", 60, 2, {}, {}))
        metrics = {"test_balanced_accuracy": 0.5, "validation_balanced_accuracy": 0.5}
        ledger(EpochCompleted(trial.trial_id, 1, 3, 0.5, metrics))
        ledger(TrialEnded(trial.trial_id, status, 1, 3, 7.0, metrics, error))
    return folder


def test_version_is_that_of_the_installed_package(call: Call) -> None:
    assert call("--version") == (0, f"{version('l2rw-ray')}\n", "")


def test_plan_counts_what_is_done_and_estimates_from_the_ledger(
    call: Call, study: Path, folder: StudyFolder
) -> None:
    code, output, _ = call("plan", str(study), "--out", str(folder.path))
    assert code == 0
    assert "2 design points × 2 seeds = 4 trials" in output
    assert "2 done, 2 to run" in output
    assert "estimated 7.0 s per trial" in output


def test_plan_as_json_lists_every_trial(call: Call, study: Path, tmp_path: Path) -> None:
    code, output, _ = call("plan", str(study), "--out", str(tmp_path / "none"), "--json")
    plan = json.loads(output)
    assert code == 0
    assert (plan["trials"], plan["done"], plan["trial_s"]) == (4, 0, None)
    assert [(row["factors"]["method.name"], row["seed"]) for row in plan["rows"]] == [
        *(("uniform", 0), ("uniform", 1), ("l2rw", 0), ("l2rw", 1))
    ]
    assert not (tmp_path / "none").exists(), "a plan writes nothing"


def test_plan_by_a_timed_probe(call: Call, study: Path, tmp_path: Path) -> None:
    code, output, _ = call("plan", str(study), "--out", str(tmp_path / "none"), "--probe")
    assert code == 0
    assert "a few steps of 2 kinds of trial, timed here" in output


def test_status_counts_the_trials(call: Call, folder: StudyFolder) -> None:
    code, output, _ = call("status", str(folder.path))
    assert code == 0
    assert [line.split() for line in output.splitlines()[1:5]] == [
        *(["4", "trials", "planned"], ["1", "completed"], ["1", "failed"], ["2", "missing"])
    ]
    assert output.splitlines()[5:] == [
        "best     validation balanced accuracy 50.0 % (uniform · seed 0)",
        "failed   uniform · seed 1: ValueError: no",
    ]


def test_status_as_json_has_all_of_it(call: Call, folder: StudyFolder) -> None:
    code, output, _ = call("status", str(folder.path), "--json")
    status = json.loads(output)
    assert code == 0
    assert status["counts"] == {"completed": 1, "stopped": 0, "diverged": 0, "failed": 1, "missing": 2}
    assert status["best"]["trial"] == "uniform · seed 0"
    assert (status["run"], status["under_way"], status["left_s"]) == (None, [], None)


def test_a_study_that_nobody_runs_is_watched_once(call: Call, folder: StudyFolder) -> None:
    code, output, _ = call("status", str(folder.path), "--watch")
    assert code == 0
    first, *text = output.splitlines()
    assert first == "2 of 4 trials done · 1 failed · no run is active"
    assert "\n".join(text) + "\n" == call("status", str(folder.path))[1]
    assert call("status", str(folder.path), "--watch", "--json")[0] == 2


def test_a_study_that_is_not_there_yet_is_waited_for(
    call: Call, study_tree: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = StudyFolder(tmp_path / "soon")
    monkeypatch.setattr("l2rw_ray.cli.status.sleep", lambda pause_s: write_plan(folder, study_tree))
    code, output, error = call("status", str(folder.path), "--watch")
    assert (code, error) == (0, "")
    assert output.startswith(
        f"waiting  {folder.path} holds no study yet; Ctrl-C ends this\n0 of 4 trials done"
    )


def test_completion_is_typers_own(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: ("bash", "/bin/bash"))
    code, output, _ = call("--show-completion")
    assert (code, "COMPLETE=complete_bash" in output) == (0, True)


def test_report_is_written_from_the_ledger_alone(call: Call, folder: StudyFolder, tmp_path: Path) -> None:
    code, output, _ = call("report", str(folder.path), "--out", str(tmp_path / "report"))
    assert code == 0
    assert output.strip() == str(tmp_path / "report" / "report.html")
    assert "Does it work?" in (tmp_path / "report" / "report.md").read_text()


def test_a_study_is_published_where_its_page_is_shown(
    call: Call, folder: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output, _ = call("publish", str(folder.path))
    name = folder.read_spec().name
    assert (code, output) == (0, f"reports/{name}/report.html\n")
    published = tmp_path / "reports" / name
    assert {path.name for path in published.iterdir()} == {
        *("study.yaml", "plan.json", "trials", "report.html", "report.md", "figures")
    }
    text = (published / "report.md").read_text()
    links = re.findall(r"\]\((.+?)\)", text)
    assert links
    assert all((published / link).is_file() for link in links)
    assert "writes all numbers at full precision to CSV files" in text
    assert call("status", str(published)) == call("status", str(folder.path))
    call("report", str(published))
    call("report", str(folder.path))
    for file in ("report.md", "report.html", "results.csv", "trials.csv"):
        assert (published / "report" / file).read_text() == (folder.report / file).read_text()


@pytest.mark.parametrize("command", ["status", "report", "publish", "track", "ui"])
def test_folder_without_a_study_is_one_line_and_exit_code_2(call: Call, tmp_path: Path, command: str) -> None:
    code, output, error = call(command, str(tmp_path))
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert "it has no study.yaml" in error


def test_unusable_folders_of_a_joined_report_are_one_line_and_exit_code_2(
    call: Call, folder: StudyFolder, tmp_path: Path
) -> None:
    code, output, error = call("report", str(tmp_path / "a"), str(folder.path), str(tmp_path / "b"))
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert "2 of 3: unusable: " in error.replace("'", "")
    assert error.count("no such folder") == 2


@pytest.mark.parametrize("command", ["report", "track"])
def test_trials_of_earlier_settings_are_named(
    call: Call, folder: StudyFolder, study_tree: dict, command: str
) -> None:
    write_plan(folder, study_tree | {"seeds": [1, 2]})
    code, _, error = call(command, str(folder.path))
    assert (code, error) == (0, "earlier  1 trial of earlier settings left out: uniform · seed 0\n")


def test_track_mirrors_without_duplicates(call: Call, folder: StudyFolder) -> None:
    for _ in range(2):
        told = call("track", str(folder.path))
        assert told == (0, f"3 trials mirrored to {folder.tracking_database}\n", "")
    rows = sqlite3.connect(folder.tracking_database).execute(
        "select name from runs where name like '%· seed %'"
    )
    assert len(rows.fetchall()) == 3


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], ["torch", "ray", "mlflow", "pyarrow", "pydantic", "matplotlib"]),
        (["plan", "studies/demo.yaml", "--out", "none"], ["torch", "ray", "mlflow", "matplotlib", "scipy"]),
        (["status", "--help"], ["torch", "ray", "mlflow", "pyarrow"]),
        (["data", "list"], ["torch", "ray", "mlflow", "pyarrow", "matplotlib"]),
    ],
)
def test_quick_commands_import_nothing_heavy(arguments: list[str], heavy: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['l2rw-ray', *{arguments!r}]\n"
        "from l2rw_ray.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as ended:\n    assert not ended.code, ended.code\n"
        f"assert not sys.modules.keys() & set({heavy!r}), sys.modules.keys() & set({heavy!r})"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], capture_output=True
    )


def test_ui_on_a_used_port_is_refused(call: Call, tmp_path: Path) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        code, output, error = call("ui", str(tmp_path), "--port", str(used.getsockname()[1]))
    assert code == 2
    assert not output
    assert "--port = " in error
    assert "in use" in error


def test_a_store_and_no_mlflow_at_all_contradict_each_other(call: Call, study: Path) -> None:
    code, _, error = call("run", str(study), "--no-mlflow", "--tracking-uri", "http://127.0.0.1:9")
    assert (code, error.count("\n")) == (2, 1)
    assert "given with --no-mlflow; leave out one of the two" in error


def test_bench_prints_a_table_and_draws(call: Call, tmp_path: Path) -> None:
    small = (
        "--model",
        "mlp",
        "--batch-size",
        "4",
        "--meta-size",
        "2",
        "--rounds",
        "1",
        "--estimators",
        "ghost",
    )
    code, output, _ = call("bench", *small, "--figure", str(tmp_path / "costs.svg"))
    assert code == 0
    assert output.startswith("model  estimator")
    assert "mlp · ghost" in (tmp_path / "costs.svg").read_text()
    code, _, error = call("bench", *small[2:], "--estimators", "magic")
    assert code == 2
    assert error.startswith("error: estimator = 'magic': unknown; use one of auto, ")
    code, _, error = call("bench", *small, "--figure", str(tmp_path / "costs.txt"))
    assert code == 2
    assert "unknown format" in error


def test_address_where_nobody_listens_is_refused_at_once(call: Call) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    code, output, error = call("plan", "studies/demo.yaml", "--address", address)
    assert code == 2
    assert not output
    assert error.startswith(f"error: --address = '{address}': cannot connect")


def test_plan_and_register_refuse_a_parameter_that_the_function_has_not(call: Call, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        "{name: own, question: Which rate?, trial: {function: 'own_code:train', params: {depht: 2}},"
        " metrics: {validation_loss: {mode: min}}, design: {kind: grid, factors: {lr: [0.1]}}}"
    )
    (tmp_path / "own_code.py").write_text(
        "def train(trial, lr: float, depth: int = 1): ...\nraise SystemExit"
    )
    for command in ("plan", "register"):
        code, _, error = call(command, str(study), "--out", str(tmp_path / "out"))
        assert code == 2
        assert error == (
            "error: trial.params.depht = 2: own_code:train has no such parameter (design point lr = 0.1); "
            "did you mean 'depth'?\n"
        )
    assert not (tmp_path / "out").exists()


def test_a_registered_study_that_has_not_run_says_so(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert call("register", "studies/demo.yaml", "--out", str(folder))[0] == 0
    for command in ("status", "report"):
        code, _, error = call(command, str(folder))
        assert code == 2
        assert error.endswith("a study is registered there, but none has run; run it with `l2rw-ray run`\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("register", "s.yaml", "--margin", "abc"),
            "Invalid value for '--margin'",
        ),
        (("run", "s.yaml", "--priority", "0"), "Invalid value for '--priority'"),
        (("run",), "Missing argument 'STUDY.yaml'"),
        (("run", "--fo"), "No such option: --fo"),
        (("plna",), "No such command 'plna'. Did you mean 'plan'?"),
    ],
)
def test_wrong_options_are_one_line(call: Call, arguments: tuple[str, ...], line: str) -> None:
    code, _, error = call(*arguments)
    assert code == 2
    assert error.startswith(f"error: {line}")
    assert error.endswith("--help`\n")
    assert error.count("\n") == 1
