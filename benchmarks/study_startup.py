"""Time from launching `l2rw-ray run` to its first trial and to its end, for two revisions in turn.

Twelve trials of about a third of a second on the bundled digits, with MLflow mirror and report, on a cluster
that each run starts for itself. The revisions take turns, so that whatever else the machine does meets both.

    git worktree add /tmp/before main
    python benchmarks/study_startup.py [--against /tmp/before] [--rounds 3] [--groups 1 2]

`cpu_s` adds up every process that a run has started, Ray's included, up to the last sample before each ends.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil

_ROOT = Path(__file__).parents[1]
_TRIALS = 12
_ENDED = re.compile(rf"^\d+ of {_TRIALS} ")
"""A line that the run prints when a trial has ended."""
_SAMPLE_EVERY_S = 0.5
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
    path.write_text(json.dumps(study), encoding="utf-8")  # which is YAML too, for any revision


def measure(source: Path, groups: int, folder: Path) -> dict[str, float]:
    """Run the study once with the code in `source`.

    Returns:
        `first_trial_s` until the first trial is recorded, `last_trial_s`, `total_s` until the process ends,
        and `cpu_s` of all processes.
    """
    write_study(folder / "study.yaml")
    arguments = ("run", "study.yaml", "--out", "out", "--max-concurrent-trials", str(groups))
    environment = os.environ | {"PYTHONPATH": str(source), "RAY_USAGE_STATS_ENABLED": "0"}
    started = perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", _MAIN, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        ends, output, used = [], [], ProcessTimes(process.pid)
        used.start()
        for line in process.stdout:
            output.append(line)
            if _ENDED.match(line):
                ends.append(perf_counter() - started)
    total_s = perf_counter() - started
    if process.returncode or len(ends) != _TRIALS:
        sys.exit("".join(output))
    return {
        "first_trial_s": ends[0],
        "last_trial_s": ends[-1],
        "total_s": total_s,
        "cpu_s": used.stop(),
    }


class ProcessTimes(threading.Thread):
    """Samples the CPU time of a process and of all that it has started.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._first = psutil.Process(pid)
        self._known = {pid: self._first}
        self._used_s: dict[int, float] = {}
        self._over = threading.Event()

    def run(self) -> None:
        """Sample until `stop`."""
        while not self._over.wait(_SAMPLE_EVERY_S):
            with suppress(psutil.Error):
                self._known |= {each.pid: each for each in self._first.children(recursive=True)}
            for pid, process in self._known.items():
                with suppress(psutil.Error):
                    times = process.cpu_times()
                    self._used_s[pid] = times.user + times.system

    def stop(self) -> float:
        """Stop. Returns the CPU time of all processes, in seconds."""
        self._over.set()
        self.join()
        return sum(self._used_s.values())


def main() -> None:
    """Measure each revision in turn and print medians as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--groups", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
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
