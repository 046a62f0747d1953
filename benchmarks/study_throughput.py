"""Cost of scheduling many trials: wall time against a bare loop, and memory of the driver.

    python benchmarks/study_throughput.py throughput [--trials 60] [--rounds 3]
    python benchmarks/study_throughput.py memory [--trials 500]

`throughput` trains digits trials on two worker groups, and the same trials in a bare loop over two processes.
Start-up of both is reported and left out: the clock runs from the first trial's start to the last
one's end. Target: at most 1.25 times the bare loop's time.

`memory` runs a study of trials that train almost nothing on two worker groups and reads the driver's resident
memory as they end. Target: less than 100 MiB of growth after the first ten.
"""

import argparse
import json
import logging
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import time
from typing import Any

import psutil

from l2rw_ray.config import PlannedTrial, StudySpec, parse_study
from l2rw_ray.events import Event, TrialEnded, TrialStarted, Verdict
from l2rw_ray.orchestration.run import RunOptions, run_missing_trials
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results.folder import StudyFolder

GROUPS = 2


def study(trials: int, train_size: int, epochs: int) -> StudySpec:
    """A study of reweighted trials on the bundled digits."""
    return parse_study(
        {
            "name": "throughput",
            "question": "What does scheduling cost?",
            "trial": {
                "data": {"source": "digits", "train_size": train_size, "validation_size": 100},
                "model": {"name": "mlp"},
                "method": {"name": "l2rw"},
                "optim": {"name": "sgd", "lr": 0.05, "batch_size": 50, "epochs": epochs},
                "measurement": {"probe_rounds": 0},
            },
            "design": {"kind": "grid", "factors": {"method.name": ["l2rw"]}},
            "seeds": trials,
        }
    )


class Watch:
    """Observer that notes when trials started and ended, and the memory of this process then."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.ends: list[float] = []
        self.memory_bytes: list[int] = []

    def __call__(self, event: Event) -> None:
        """Note the start or the end of a trial."""
        if isinstance(event, TrialStarted):
            self.starts.append(time())
        elif isinstance(event, TrialEnded):
            self.ends.append(time())
            self.memory_bytes.append(psutil.Process().memory_info().rss)


def run_on_groups(spec: StudySpec) -> tuple[Watch, float]:
    """Run a study in a folder of its own; return its observations and the time of the start."""
    watch, asked = Watch(), time()
    with tempfile.TemporaryDirectory() as name:
        folder = StudyFolder(Path(name) / "study")
        folder.create()
        run_missing_trials(
            spec, plan_study(spec), folder, RunOptions(max_concurrent_trials=GROUPS), lambda *_, **__: [watch]
        )
    return watch, asked


def train_in_turn(trials: Sequence[PlannedTrial], times: Path) -> None:
    """Train trials one after the other, as a worker of a worker group does, and write down when."""
    os.environ["OMP_NUM_THREADS"] = "1"
    logging.disable(logging.WARNING)  # weights of so small a study are restless
    import torch

    from l2rw_ray.data import load_source, make_splits
    from l2rw_ray.training import train_trial

    torch.set_num_threads(1)
    source = load_source(trials[0].config.data)
    started = time()
    for trial in trials:
        splits = make_splits(source, trial.config.data, trial.seed)
        train_trial(trial, splits, lambda event: Verdict.CONTINUE)
    times.write_text(json.dumps([started, time()]))


def run_bare(spec: StudySpec) -> tuple[float, float]:
    """Start-up and wall time of the same trials in a bare loop over as many processes."""
    trials, asked = plan_study(spec), time()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / f"{number}.json" for number in range(GROUPS)]
        processes = [
            context.Process(target=train_in_turn, args=(trials[number::GROUPS], file))
            for number, file in enumerate(files)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        spans = [json.loads(file.read_text()) for file in files]
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    return first - asked, last - first


def throughput(trials: int, rounds: int) -> dict[str, Any]:
    """Wall time on worker groups over that of the bare loop, in turn."""
    spec = study(trials, train_size=1000, epochs=20)
    groups, bare = [], []
    for _ in range(rounds):
        bare.append(run_bare(spec))
        watch, asked = run_on_groups(spec)
        first = min(watch.starts)
        groups.append((first - asked, max(watch.ends) - first))
    return {
        "trials": trials,
        "start_up_on_groups_s": [start_s for start_s, _ in groups],
        "start_up_bare_s": [start_s for start_s, _ in bare],
        "on_groups_s": [wall_s for _, wall_s in groups],
        "bare_s": [wall_s for _, wall_s in bare],
        "ratio": median(mine / its for (_, mine), (_, its) in zip(groups, bare, strict=True)),
    }


def memory(trials: int) -> dict[str, Any]:
    """Growth of the driver's memory from the tenth trial's end to the last one's."""
    watch, _ = run_on_groups(study(trials, train_size=50, epochs=1))
    first, last = watch.memory_bytes[9], watch.memory_bytes[-1]
    wall_s = watch.ends[-1] - watch.ends[9]
    return {
        "trials": len(watch.ends),
        "driver_mib_after_ten": first / 2**20,
        "driver_mib_at_the_end": last / 2**20,
        "growth_mib": (last - first) / 2**20,
        "s_per_trial": wall_s / (len(watch.ends) - 10),
    }


def main() -> None:
    """Measure one of the two and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["throughput", "memory"])
    parser.add_argument("--trials", type=int)
    parser.add_argument("--rounds", type=int, default=3, help="of the throughput, in turn")
    options = parser.parse_args()
    if options.what == "throughput":
        results = throughput(options.trials or 60, options.rounds)
    else:
        results = memory(options.trials or 500)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
