"""A study whose train set is streamed through Ray Data, beside the same order in memory."""

from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.results import read_history, read_study
from tests.digits_files import write_digits
from tests.integration.harness import RESULT_COLUMNS

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

Run = Callable[..., tuple[int, str]]
NOT_COMPARED = ("trial_id", "duration_s")


def test_two_workers_stream_what_they_would_hold(
    write_study: Callable[..., Path],
    run: Run,
    cluster: str,
    study_tree: dict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "cache"))
    write_digits((tmp_path / "digits").as_uri())
    trial = study_tree["trial"]
    source = {"source": "parquet", "train": str(tmp_path / "digits"), "stream": {"window": 256}}
    trial["data"] |= source | {"train_size": 1200}
    trial["method"] |= {"update_every": 4}
    study = write_study(
        trial=trial,
        seeds=1,
        resources={"workers": 2},
        design={"kind": "grid", "factors": {"data.stream.in_memory": [False, True]}},
    )
    out = tmp_path / "out"
    code, output = run(study, "--out", str(out), "--address", cluster)
    assert code == 0, output
    assert "Warning" not in output
    streamed, held = read_study(out).select([c for c in RESULT_COLUMNS if c not in NOT_COMPARED]).to_pylist()
    assert streamed == held
    assert streamed["train_examples"] == 1200
    compared = [c for c in read_history(out).column_names if "_loss" in c or "accuracy" in c or "weight" in c]
    epochs = read_history(out).select(compared).to_pylist()
    assert epochs[:2] == epochs[2:]
