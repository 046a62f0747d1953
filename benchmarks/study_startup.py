"""Time from launching `l2rw-ray run` to its first trial and to its end, for two revisions in turn.

Twelve trials of about a third of a second on the bundled digits, with MLflow mirror and report, on a cluster
that each run starts for itself. The revisions take turns, so that whatever else the machine does meets both.

    git worktree add /tmp/before main
    python benchmarks/study_startup.py [--against /tmp/before] [--rounds 3] [--groups 1 2]

`cpu_s` adds up every process that a run has started, its reaper's and Ray's included; Linux only.
"""

import argparse
import ctypes
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

from l2rw_ray.config import parse_study
from l2rw_ray.config.loading import dump_study

_ROOT = Path(__file__).parents[1]
_TRIALS = 12
_ENDED = re.compile(rf"^\d+ of {_TRIALS} ")
"""A line that the run prints when a trial has ended."""
_SET_CHILD_SUBREAPER = 36
_MAIN = "from l2rw_ray.cli import main; main()"


def write_study(path: Path) -> None:
    """Write the study of twelve short trials."""
    trial = {
        "data": {"source": "digits", "train_size": 800, "validation_size": 100, "test_size": 100},
        "model": {"name": "lenet"},
        "method": {"name": "uniform"},
        "optim": {"name": "sgd", "lr": 0.01, "batch_size": 50, "epochs": 6},
    }
    design = {"kind": "grid", "factors": {"optim.lr": [0.01, 0.02, 0.05]}}
    question = "How long does a study of short trials take?"
    study = {"name": "startup", "question": question, "trial": trial, "design": design, "seeds": 4}
    dump_study(parse_study(study), path)


def measure(source: Path, groups: int, folder: Path) -> dict[str, float]:
    """Run the study once with the code in `source`.

    Returns:
        `first_trial_s` until the first trial is recorded, `last_trial_s`, `total_s` until the process ends,
        and `cpu_s` of all processes.
    """
    write_study(folder / "study.yaml")
    arguments = ("run", "study.yaml", "--out", "out", "--max-concurrent-trials", str(groups))
    environment = os.environ | {"PYTHONPATH": str(source), "RAY_USAGE_STATS_ENABLED": "0"}
    before, started = _cpu_s(), perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", _MAIN, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        ends, output = [], []
        for line in process.stdout:
            output.append(line)
            if _ENDED.match(line):
                ends.append(perf_counter() - started)
    total_s = perf_counter() - started
    if process.returncode or len(ends) != _TRIALS:
        sys.exit("".join(output))
    _collect_orphans()
    return {
        "first_trial_s": ends[0],
        "last_trial_s": ends[-1],
        "total_s": total_s,
        "cpu_s": _cpu_s() - before,
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _collect_orphans() -> None:
    """Wait for processes that outlived their parents, so that their time counts."""
    for _ in _until(perf_counter() + 10):
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            continue
        return


def _until(deadline: float) -> Iterator[None]:
    while perf_counter() < deadline:
        yield
        sleep(0.1)


def main() -> None:
    """Measure each revision in turn and print medians as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--groups", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    sources = {"here": _ROOT} | ({"against": options.against.resolve()} if options.against else {})
    runs: dict[str, list[dict[str, float]]] = {}
    for _ in range(options.rounds):
        for groups in options.groups:
            for name, source in sources.items():
                with tempfile.TemporaryDirectory() as folder:
                    measured = measure(source, groups, Path(folder))
                label = f"{name}, {groups} worker group{'s' * (groups > 1)}"
                print(label, json.dumps(measured), os.getloadavg()[0], file=sys.stderr)
                runs.setdefault(label, []).append(measured)
    medians = {
        label: {name: round(median(run[name] for run in found), 1) for name in found[0]}
        for label, found in runs.items()
    }
    print(json.dumps({"rounds": options.rounds, "medians": medians}, indent=2))


if __name__ == "__main__":
    main()
