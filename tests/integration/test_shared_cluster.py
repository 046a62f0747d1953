"""Trials of several kinds, some of which fail, on one cluster that is there already."""

from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.results import read_study

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

Run = Callable[..., tuple[int, str]]
METRICS = '''
import time
from pathlib import Path

import torch.distributed as dist

MEETING = Path({folder!r})


def meeting(output, target):
    """Wait until trials on one worker and trials on two have come here."""
    workers = dist.get_world_size() if dist.is_initialized() else 1
    (MEETING / str(workers)).touch()
    deadline = time.monotonic() + 120
    while not all((MEETING / name).exists() for name in ("1", "2")):
        assert time.monotonic() < deadline, "nobody else comes"
        time.sleep(0.01)
    return 0.0
'''


def test_failed_trial_is_a_row_and_the_others_finish_side_by_side(
    cluster: str, write_study: Callable[..., Path], study_tree: dict, run: Run, tmp_path: Path
) -> None:
    """Trials on one worker wait for one on two, and the other way round, so that both must be under way."""
    (tmp_path / "meeting").mkdir()
    (tmp_path / "own_metrics.py").write_text(METRICS.format(folder=str(tmp_path / "meeting")))
    design = {
        "kind": "grid",
        "factors": {"resources.workers": [2, 1], "optim.lr": [1e20, 0.01, 0.05]},
        "skip": [{"resources.workers": 1, "optim.lr": 1e20}],
    }
    study_tree["trial"]["metrics"] = ["own_metrics:meeting"]
    out, study = tmp_path / "out", write_study(epochs=1, design=design, seeds=1)
    code, output = run(study, "--address", cluster, "--out", str(out))
    assert code == 1, output
    assert "1 diverged" in output
    failed, *completed = read_study(out).to_pylist()
    assert failed["status"] == "diverged"
    assert failed["error"].startswith("NonFiniteError: non-finite")
    assert "Traceback" in failed["traceback"]
    assert [(row["status"], row["workers"], row["attempt"]) for row in completed] == [
        *[("completed", 2, 1)] * 2,
        *[("completed", 1, 1)] * 2,
    ]
