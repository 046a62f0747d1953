"""What a job is made of, and the command that runs it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.config import load_study
from l2rw_ray.config.loading import parse_study
from l2rw_ray.errors import InputError
from l2rw_ray.orchestration import execution
from l2rw_ray.orchestration.cluster import reaper
from l2rw_ray.orchestration.jobs import submission
from l2rw_ray.orchestration.jobs.submission import STUDY_FILE, Submission, staged
from l2rw_ray.tracking import background_mirror as mirror_thread


def _expanded(entrypoint: str, **variables: str) -> list[str]:
    """The words that a shell makes of a command."""
    shown = entrypoint.replace("exec l2rw-ray", "printf '%s\\n'", 1)
    done = subprocess.run(["sh", "-c", shown], env=variables, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_job_is_the_resolved_study_and_the_packages_it_names(
    study_tree: dict, write_code: Callable[[str, str], Path], tmp_path: Path
) -> None:
    write_code("own_code/metrics.py", "def zeros(output, target):\n    return 0.0\n")
    write_code("own_code/__init__.py", "")
    write_code("beside.py", "raise RuntimeError('not asked for')\n")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "large.bin").write_bytes(b"0")
    study_tree["trial"]["metrics"] = ["own_code.metrics:zeros"]
    spec = parse_study(study_tree)
    with staged(spec) as folder:
        files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
        assert files == {STUDY_FILE, "own_code/__init__.py", "own_code/metrics.py"}
        assert load_study(folder / STUDY_FILE) == spec
    assert not folder.exists()


def test_packages_that_are_too_large_are_named(
    study_tree: dict, write_code: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_code("own_large/__init__.py", "def zeros(output, target):\n    return 0.0\n")
    (tmp_path / "own_large" / "images.bin").write_bytes(bytes(2 * 2**20))
    monkeypatch.setattr(submission, "_MAX_BYTES", 2**20)
    study_tree["trial"]["metrics"] = ["own_large:zeros"]
    with pytest.raises(InputError, match=r"2 MiB .* own_large/images\.bin .* at most 1 MiB are sent"):
        staged(parse_study(study_tree)).__enter__()


def test_study_folder_is_the_clusters_own_where_none_is_given() -> None:
    command = Submission().entrypoint("small")
    assert _expanded(command, L2RW_RAY_RESULTS="/all of/them", HOME="/home/me")[-1] == "/all of/them/small"
    assert _expanded(command, HOME="/home/me")[-1] == "/home/me/results/small"
    assert _expanded(command, HOME="/home/me")[:4] == ["run", STUDY_FILE, "--address", "auto"]


@pytest.mark.parametrize(
    ("chosen", "variables", "warns"),
    [
        (Submission(), {}, True),
        (Submission(), {"L2RW_RAY_RESULTS": "/shared"}, False),
        (Submission(out="/shared/small"), {}, False),
    ],
)
def test_folder_that_nobody_chose_is_warned_of(chosen: Submission, variables: dict, warns: bool) -> None:
    shown = chosen.entrypoint("small").replace("exec l2rw-ray", "true", 1)
    done = subprocess.run(["sh", "-c", shown], env=variables, capture_output=True, text=True, check=True)
    assert ("L2RW_RAY_RESULTS is not set on the cluster" in done.stderr) is warns


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("/a b/c", "/a b/c"),
        ("~/x;y", "/home/me/x;y"),
        ("/$(date)", "/$(date)"),
        ("/", "/"),
        ("s3://bucket/a?region=eu-west-1", "s3://bucket/a?region=eu-west-1"),
    ],
)
def test_given_study_folder_is_what_a_shell_makes_of_it_and_nothing_more(given: str, meant: str) -> None:
    chosen = Submission(out=given)
    chosen.check_usable()
    assert _expanded(chosen.entrypoint("small"), HOME="/home/me")[-1] == meant


def test_options_reach_the_run_unharmed() -> None:
    Submission(tracking_uri="sqlite:////shared/mlflow.db").check_usable()
    chosen = Submission(
        tracking_uri="http://host:5000/a?b=c&d", arguments=("--max-concurrent-trials=2", "--retry-failed")
    )
    words = _expanded(chosen.entrypoint("small"), HOME="/home/me")
    assert words[4:8] == [
        "--max-concurrent-trials=2",
        "--retry-failed",
        "--tracking-uri",
        "http://host:5000/a?b=c&d",
    ]


@pytest.mark.parametrize(
    ("chosen", "complaint"),
    [
        (Submission(out="results/x"), "--out = 'results/x': relative to a folder that ends with the job"),
        (Submission(out="~other/x"), "--out = '~other/x': relative"),
        (Submission(out="ftp://bucket/x"), "'ftp://bucket/x': not a supported store"),
        (Submission(out="s3://key:s3cret@bucket/x"), "'s3://***': holds credentials or a port"),
        (Submission(variables=("L2RW_RAY_UNSET",)), "--env = 'L2RW_RAY_UNSET': not set in this shell"),
        (Submission(tracking_uri="sqlite:///mlflow.db"), "give sqlite:////FOLDER/FILE.db"),
        (Submission(tracking_uri="ftp://host"), "no kind of store that MLflow knows"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(chosen: Submission, complaint: str) -> None:
    with pytest.raises(InputError) as refused:
        chosen.check_usable()
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://me:hush@host:5000/x", "https://***@host:5000/x"),
        ("https://hush@host:5000/x", "https://***@host:5000/x"),
        ("postgresql://host/db?user=me&password=hush", "postgresql://host/db?user=me&password=***"),
    ],
)
def test_password_of_a_store_is_not_sent_and_not_shown(given: str, shown: str) -> None:
    with pytest.raises(
        InputError, match="its password or token would be visible on the cluster's"
    ) as refused:
        Submission(tracking_uri=given).check_usable()
    assert f"'{shown}'" in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("path", ["data/train.parquet", "../train.parquet", "train"])
def test_data_that_are_not_sent_are_refused(study_tree: dict, path: str) -> None:
    study_tree["trial"]["data"] = {"source": "image_folder", "train": path}
    with pytest.raises(InputError, match=rf"trial.data.train = '{path}': relative to a folder that ends"):
        staged(parse_study(study_tree)).__enter__()


@pytest.mark.parametrize("path", ["/data/train.parquet", "~/train.parquet", "s3://bucket/train.parquet"])
def test_data_that_nodes_may_have_are_not_refused(study_tree: dict, path: str) -> None:
    study_tree["trial"]["data"] = {"source": "parquet", "train": path}
    with staged(parse_study(study_tree)) as folder:
        assert path in (folder / STUDY_FILE).read_text()


def test_stopped_job_has_the_time_that_its_parts_may_take() -> None:
    parts = (execution._GRACE_S, execution._LEAVE_S, reaper.MAX_S, mirror_thread.FILES_S)
    assert sum(parts) + 60 <= submission._STOP_WAIT_S, "a large report takes a minute at most"


def test_variables_are_passed_on_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "abc")
    environment = Submission(variables=("MY_TOKEN",)).environment()
    assert environment["MY_TOKEN"] == "abc"
    assert "HOME" not in environment
