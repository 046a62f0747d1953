"""A study whose train set is streamed through Ray Data, beside the same order in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l2rw_ray.results import read_history, read_study
from tests.digits_files import write_digits
from tests.integration.harness import RESULT_COLUMNS
from tests.mixed_tables import INPUTS, MODELS, write_rows

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

Run = Callable[..., tuple[int, str]]
NOT_COMPARED = ("trial_id", "duration_s")
BOTH_WAYS = {"kind": "grid", "factors": {"data.stream.in_memory": [False, True]}}


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
        design=BOTH_WAYS,
    )
    out = tmp_path / "out"
    code, output = run(study, "--out", str(out), "--address", cluster)
    assert code == 0, output
    assert "Warning" not in output
    assert _same_results(out)["train_examples"] == 1200


def test_two_workers_stream_texts(
    write_study: Callable[..., Path],
    run: Run,
    cluster: str,
    study_tree: dict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other inputs go the same way; `tests/training` streams each of them on two ranks."""
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "cache"))
    path = write_rows(tmp_path / "rows.parquet", 1500)
    table = {"source": "parquet", "train": path, "stream": {"window": 256}, "train_size": 1200}
    trial = study_tree["trial"] | {"model": MODELS["texts"]}
    trial["data"] |= table | INPUTS["texts"]
    study = write_study(trial=trial, seeds=1, resources={"workers": 2}, design=BOTH_WAYS)
    out = tmp_path / "out"
    code, output = run(study, "--out", str(out), "--address", cluster)
    assert code == 0, output
    assert "Warning" not in output
    assert _same_results(out)["train_examples"] == 1200


def _same_results(out: Path) -> dict[str, Any]:
    """Return the results of the streamed trial, which those of the held one must equal in all epochs."""
    columns = [name for name in RESULT_COLUMNS if name not in NOT_COMPARED]
    streamed, held = read_study(out).select(columns).to_pylist()
    assert streamed == held
    history = read_history(out)
    compared = [c for c in history.column_names if "_loss" in c or "accuracy" in c or "weight" in c]
    epochs = history.select(compared).to_pylist()
    assert epochs[:2] == epochs[2:]
    return streamed
