"""Commands on the address of a study folder, without a cluster."""

import json
from pathlib import Path

import pytest

from l2rw_ray.results import StudyFolder
from l2rw_ray.results.opening import open_study_folder
from tests.cli.conftest import Call, write_plan
from tests.object_store import BUCKET, object_store
from tests.planning.playing import record


def finish_one(folder: StudyFolder, study_tree: dict) -> None:
    record(folder, write_plan(folder, study_tree)[0], metrics={"test_balanced_accuracy": 0.5})


def test_a_store_is_planned_for_looked_at_and_reported_on(
    call: Call, study: Path, study_tree: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"s3://{BUCKET}/{tmp_path.name}/small"
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "here"))
    with object_store():
        with open_study_folder(address) as folder:
            finish_one(folder, study_tree)
        monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "there"))
        code, output, _ = call("plan", str(study), "--out", address, "--json")
        assert (code, json.loads(output)["done"]) == (0, 1)
        code, output, _ = call("status", address)
        assert (code, "1 completed" in output) == (0, True)
        code, output, _ = call("report", address)
        assert (code, output) == (0, f"{address}/report/report.html\n")
        code, _, error = call("status", f"s3://{BUCKET}/{tmp_path.name}/none")
        assert (code, error.count("\n")) == (2, 1)
        assert "it has no study.yaml" in error
    assert not Path("s3:").exists()


def test_a_file_address_is_a_folder(call: Call, study_tree: dict, tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "a b")
    finish_one(folder, study_tree)
    code, output, _ = call("status", folder.path.as_uri())
    assert (code, "1 completed" in output) == (0, True)
    assert call("report", folder.path.as_uri())[1] == f"{folder.report / 'report.html'}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["status", "ftp://host/x"], "not a supported store"),
        (["track", "s3://bucket"], "names no folder in the bucket"),
        (["ui", "s3://an-id:s3cret@bucket/x"], "holds credentials or a port"),
        (["report", "results/x", "--out", "s3://bucket/x"], "files are written to this machine"),
    ],
)
def test_what_is_no_address_is_one_line_and_exit_code_2(
    call: Call, arguments: list[str], complaint: str
) -> None:
    code, output, error = call(*arguments)
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert complaint in error
    assert "s3cret" not in error
