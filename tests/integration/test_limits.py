"""A trial that takes too much is ended and recorded; the others finish, and each has its log."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from l2rw_ray.config.loading import dump_study, parse_study
from l2rw_ray.results import read_history, read_study
from tests.faults.fault_table import Tries

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

MODELS = '''
    import time

    from torch import nn


    class Moody(nn.Module):
        """Changes its mind after two epochs of three steps."""

        def __init__(self, num_classes, mood):
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
            self.mood, self.steps, self.hoard = mood, 0, None

        def forward(self, x):
            self.steps += self.training
            if self.training and self.steps == 8:
                print("I am", self.mood)
            if self.steps > 8 and self.mood == "stuck":
                sleep_for_ever()
            if self.steps > 8 and self.mood == "greedy":
                self.hoard = self.hoard or bytearray(b"x") * 10**9
                time.sleep(0.2)
            return self.layers(x)


    def sleep_for_ever():
        while True:
            time.sleep(1)


    def build(input_shape, num_classes, mood):
        return Moody(num_classes, mood)
'''


@pytest.fixture
def study(study_tree: dict, tmp_path: Path) -> Path:
    (tmp_path / "moody.py").write_text(dedent(MODELS))
    study_tree["trial"] |= {
        "model": {"name": "moody:build", "options": {"mood": "calm"}},
        "method": {"name": "uniform"},
        "measurement": {"probe_rounds": 0},
    }
    study_tree["trial"]["optim"]["epochs"] = 20
    study_tree |= {
        "design": {"kind": "grid", "factors": {"model.options.mood": ["calm", "stuck", "greedy"]}},
        "seeds": 1,
        "limits": {"duration_s": 20, "memory_bytes": 1_300_000_000},
    }
    path = tmp_path / "study.yaml"
    dump_study(parse_study(study_tree), path)
    return path


@pytest.mark.fault(
    "a trial that hangs, one that takes too much memory and one that does neither",
    "the last; the two are failed rows with stacks and logs",
)
def test_trials_over_a_limit_fail_with_where_they_were_and_the_others_complete(
    study: Path, run: Callable[..., tuple[int, str]], tries: Tries, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tries.add(2)
    code, output = run(study, "--out", str(out))
    assert code == 1, output
    assert "1 completed, 2 failed" in output
    assert "A worker died" not in output, "nobody need be told of a process that was to end"

    calm, stuck, greedy = rows = read_study(out).to_pylist()
    assert [(row["status"], row["attempt"]) for row in rows] == [
        *(("completed", 1), ("failed", 1), ("failed", 1))
    ]
    assert stuck["error"] == (
        "over limits.duration_s: still in epoch 3 after 20 s; raise limits.duration_s or shorten the trial"
    )
    assert "in sleep_for_ever" in stuck["traceback"].split("\nThread ")[0]
    assert greedy["error"].startswith("over limits.memory_bytes: a worker holds 1")
    epochs = [row for row in read_history(out).to_pylist() if row["trial_id"] == stuck["trial_id"]]
    assert [row["epoch"] for row in epochs] == [1, 2]

    for row, mood in zip(rows, ("calm", "stuck", "greedy"), strict=True):
        assert row["log"] == f"logs/{row['trial_id']}.log"
        assert (out / row["log"]).read_text().splitlines()[0] == f"I am {mood}"
    assert (out / calm["log"]).read_text().count("\n") == 1
    for row in (stuck, greedy):
        assert str(out / row["log"]) in output
        assert row["log"] in (out / "report" / "report.md").read_text()
        assert row["error"] in (out / row["log"]).read_text()
    assert sorted(path.suffix for path in (out / "logs").iterdir()) == [".log"] * 3
