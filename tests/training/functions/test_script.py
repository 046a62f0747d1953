"""A script is called with its parameters, reports as it goes, resumes, and says why it failed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from l2rw_ray.config import PlannedTrial, Resources, ScriptTrial
from l2rw_ray.config.run_options import CheckpointPolicy
from l2rw_ray.errors import InputError
from l2rw_ray.events import EpochCompleted, Event, TrialEnded, TrialStarted, TrialStatus, Verdict
from l2rw_ray.import_path import look_in
from l2rw_ray.orchestration.workers.limits import trial_memory_bytes
from l2rw_ray.training import CheckpointStore, TrainingOptions
from l2rw_ray.training.functions.running import run_trial
from l2rw_ray.training.functions.script import ScriptError, command_line
from l2rw_ray.training.functions.script_metrics import LinesReader

LOGS = Path(__file__).parent / "logs"
HEAD = "import json, os, sys\nout = open(os.environ['L2RW_METRICS'], 'a')\n"
SAY = "def say(**metrics):\n    print(json.dumps(metrics), file=out, flush=True)\n"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., list[Event]]]:
    """Runs a script as a trial. Returns its events."""
    look_in(tmp_path)

    def run_script(
        text: str, answer: Callable[[Event], Verdict] = lambda event: Verdict.CONTINUE, **fields: Any
    ) -> list[Event]:
        (tmp_path / "train.py").write_text(HEAD + SAY + text)
        planned = PlannedTrial("0123", ScriptTrial(script="train.py", **fields), 3, Resources(), {})
        events: list[Event] = []

        def emit(event: Event) -> Verdict:
            events.append(event)
            return answer(event)

        store = CheckpointStore(tmp_path / "saved", "0123", CheckpointPolicy(every_s=0))
        run_trial(planned, emit, TrainingOptions(checkpoints=store))
        return events

    yield run_script
    look_in(None)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("--name value", ["--lr", "0.1", "--sizes", "1", "2", "--fast", "--name", "a", "b", "--seed", "3"]),
        ("--name=value", ["--lr=0.1", "--sizes=1,2", "--fast", "--name=a b", "--seed=3"]),
        (
            "name=value",
            ["lr=0.1", "sizes=[1, 2]", "fast=true", "slow=false", "none=null", "name=a b", "seed=3"],
        ),
    ],
)
def test_parameters_are_options(options: Any, wanted: list[str], tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    look_in(tmp_path)
    params = {"lr": 0.1, "sizes": [1, 2], "fast": True, "slow": False, "none": None, "name": "a b"}
    command = command_line(ScriptTrial(script="train.py -q", params=params, options=options), seed=3)
    assert command[1:3] == [str(tmp_path / "train.py"), "-q"]
    assert " ".join(command[3:]) == " ".join(wanted)
    assert command_line(ScriptTrial(script="train.py", seed_option=None), 3)[2:] == []
    with pytest.raises(InputError, match=r"trial.script = 'no.py': no file 'no.py' in .*; fix the path"):
        command_line(ScriptTrial(script="no.py"), 3)
    with pytest.raises(InputError, match="'no-such-program' is not beside the study"):
        command_line(ScriptTrial(script="no-such-program --a"), 3)
    look_in(tmp_path, ["no-such-program"])
    with pytest.raises(InputError, match="no program 'no-such-program'"):
        command_line(ScriptTrial(script="no-such-program --a"), 3)
    look_in(None)


def test_lines_with_an_epoch_are_epochs_and_others_are_final(run: Callable[..., list[Event]]) -> None:
    started, first, second, ended = run(
        "say(epoch=1, loss=2.0)\nsay(epoch=2, loss=float(sys.argv[2]), step=9)\nsay(test_a=0.5)",
        params={"loss": 1.5},
    )
    assert isinstance(started, TrialStarted)
    assert isinstance(first, EpochCompleted)
    assert (first.epoch, first.metrics, second.step) == (1, {"loss": 2.0}, 9)
    assert (ended.status, ended.metrics) == (TrialStatus.COMPLETED, {"loss": 1.5, "test_a": 0.5})


def test_a_failure_has_the_exit_code_and_the_last_lines(run: Callable[..., list[Event]]) -> None:
    with pytest.raises(ScriptError, match=r"^train.py ended with exit code 3: what went wrong") as raised:
        run("print('before')\nprint('what went wrong', file=sys.stderr)\nsys.exit(3)")
    assert raised.value.__notes__ == ["last lines of its output:\nbefore\nwhat went wrong"]
    with pytest.raises(ScriptError, match=r"^train.py was killed by SIGKILL: it printed nothing"):
        run("os.kill(os.getpid(), 9)")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[1]", "no object of JSON"),
        ('{"epoch": 0}', "count from 1"),
        ('{"loss": "0.9"}', "loss = '0.9': a metric of type str"),
    ],
)
def test_a_bad_line_fails_the_trial(line: str, problem: str, run: Callable[..., list[Event]]) -> None:
    with pytest.raises(InputError, match=problem):
        run(f"print({line!r}, file=out, flush=True)")


def test_a_last_line_without_an_end_counts_or_fails_the_trial(run: Callable[..., list[Event]]) -> None:
    assert run("out.write('{\"a\": 0.5}')")[-1].metrics == {"a": 0.5}
    with pytest.raises(InputError, match=r"metrics of the script = '{\"a\": 0.': no object of JSON"):
        run("out.write('{\"a\": 0.')")
    with pytest.raises(ScriptError, match="ended with exit code 3"):
        run("out.write('{\"a\": 0.')\nsys.exit(3)")


def test_a_stopped_script_is_ended(run: Callable[..., list[Event]]) -> None:
    def stop(event: Event) -> Verdict:
        return Verdict.STOP if isinstance(event, EpochCompleted) else Verdict.CONTINUE

    ended = run("import time\nsay(epoch=1, loss=1)\ntime.sleep(60)", stop)[-1]
    assert isinstance(ended, TrialEnded)
    assert (ended.status, ended.metrics) == (TrialStatus.STOPPED, {"loss": 1.0})
    assert ended.duration_s < 50


RESUMING = """
start = int(open(os.environ['L2RW_RESUME']).read()) if 'L2RW_RESUME' in os.environ else 0
for epoch in range(start + 1, 4):
    name = f'at-{epoch}'
    open(os.path.join(os.environ['L2RW_CHECKPOINTS'], name), 'w').write(str(epoch))
    say(epoch=epoch, loss=epoch, checkpoint=name)
    if epoch == 2 and not start:
        sys.exit(1)
say(test_a=start)
"""


def test_a_script_resumes_from_what_it_saved(run: Callable[..., list[Event]]) -> None:
    with pytest.raises(ScriptError):
        run(RESUMING)
    resumed = run(RESUMING)
    assert [event.epoch for event in resumed if isinstance(event, EpochCompleted)] == [3]
    assert resumed[-1].metrics == {"loss": 3.0, "test_a": 2.0}


def test_metrics_come_from_an_mlflow_database(run: Callable[..., list[Event]]) -> None:
    rows = [("loss", 2.0, 0, 1), ("loss", 1.0, 1, 2), ("test_a", 0.5, 0, 3)]
    text = f"""
import sqlite3
database = sqlite3.connect(os.environ['MLFLOW_TRACKING_URI'].removeprefix('sqlite:///'))
database.execute('create table metrics (key text, value float, step int, timestamp int, is_nan bool)')
database.executemany('insert into metrics values (?, ?, ?, ?, 0)', {json.dumps(rows)})
database.commit()
"""
    _, first, second, ended = run(text, metrics_from="mlflow")
    assert (first.metrics, second.metrics) == ({"loss": 2.0}, {"loss": 1.0})
    assert ended.metrics == {"loss": 1.0, "test_a": 0.5}
    with pytest.raises(InputError, match="left no metrics; log to the folder that L2RW_FOLDER names"):
        run("", metrics_from="mlflow")


def test_metrics_come_from_logs_that_the_script_leaves(run: Callable[..., list[Event]]) -> None:
    copy = f"import shutil\nshutil.copytree({str(LOGS)!r}, os.environ['L2RW_FOLDER'] + '/logs')\n"
    _, *epochs, ended = run(copy, metrics_from="tensorboard")
    assert [epoch.metrics["new"] for epoch in epochs] == [0.0, 0.25, 0.5]
    assert (ended.metrics["new"], ended.metrics["test_accuracy"]) == (0.5, 0.75)
    offline = "assert os.environ['WANDB_MODE'] == 'offline'\n"
    offline += f"shutil.copy({str(LOGS / 'run.wandb')!r}, os.environ['WANDB_DIR'])"
    *_, ended = run(f"import shutil\n{offline}", metrics_from="wandb")
    assert (ended.epochs, ended.metrics["accuracy.validation"], ended.metrics["test_accuracy"]) == (
        3,
        0.5,
        0.75,
    )


HOARDING = """
import subprocess, time
hoard = bytearray(b"x") * 10**8
child = 'hoard = bytearray(b"x") * 10**8; print(flush=True); input()'
inner = subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
inner.stdout.readline()
is_worker = os.fork() == 0  # which shares the script's memory, as a data loader's do
if not is_worker:
    say(epoch=1, loss=1)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
if is_worker:
    os._exit(0)
"""


def test_the_memory_of_a_script_and_of_what_it_starts_counts(
    run: Callable[..., list[Event]], tmp_path: Path
) -> None:
    held: list[int] = []

    def note(event: Event) -> Verdict:
        held.append(trial_memory_bytes())
        if isinstance(event, EpochCompleted):
            (tmp_path / "seen").touch()
        return Verdict.CONTINUE

    run(HOARDING, note, params={"until": str(tmp_path / "seen")})
    started, epoch, ended = held
    assert 2 * 10**8 < epoch - started < 3 * 10**8
    assert abs(ended - started) < 10**8


def test_metrics_that_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 1, "loss": 0.5}\n{"test_accuracy": 0.9}\n', encoding="utf-8-sig")
    reader = LinesReader(path)
    (report,) = reader.read(is_complete=True)
    assert (report.metrics, reader.final) == ({"loss": 0.5}, {"test_accuracy": 0.9})
