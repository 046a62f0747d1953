"""Time and memory of the commands on studies of many trials, and how both grow.

    python benchmarks/study_scale.py [--trials 2000 20000 100000] [--steps plan resume status read report]
    python benchmarks/study_scale.py --steps track --trials 250 500 1000 2000

The studies are a grid of ten methods, five levels of bias and as many learning rates as it takes, with 20
seeds. The ledger is generated: rows of 20 epochs each, in files as a run would have left them. Each step is
a process of its own, imports included; the time of all its threads and children is beside its wall time,
since others may use the machine.
An exponent of 1 means that twice the trials take twice as long.
"""

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from l2rw_ray.config import PlannedTrial, StudySpec, parse_study
from l2rw_ray.config.loading import dump_study
from l2rw_ray.events import EpochCompleted
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.schema import SCHEMA, TrialRecord, as_table

_METHODS = (
    *("uniform", "l2rw", "random", "focal", "resample"),
    *("inverse_frequency", "class_balanced", "meta_only", "finetune_meta", "jtt"),
)
_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9)
_SEEDS = 20
_EPOCHS = 20
_LOOSE = 200
"""Trials that still have a file of their own: a run merges them from 256 on."""
_COMMAND = "from l2rw_ray.cli import main; main()"
_READ = "import sys; from l2rw_ray import read_study; print(read_study(sys.argv[1]).num_rows)"
_HISTORY = "import sys; from l2rw_ray import read_history; print(read_history(sys.argv[1]).num_rows)"
_COMPACT = """import sys; from pathlib import Path; from l2rw_ray.results import StudyFolder
from l2rw_ray.results.compaction import compact_ledger
print(compact_ledger(StudyFolder(Path(sys.argv[1]))))"""
_PEAK = """import atexit
atexit.register(lambda: print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))))
"""
"""Prints the peak of a process's memory: what the system counts of a child begins with its parent's."""


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Attributes:
        wall_s: Seconds from its start to its end.
        cpu_s: Seconds of its threads and children, on all cores.
        memory_mib: Its largest resident memory.
        output: Its standard output.
    """

    wall_s: float
    cpu_s: float
    memory_mib: float
    output: str


def large_study(trials: int) -> StudySpec:
    """Return a study of about that many trials."""
    rates = max(1, trials // (len(_METHODS) * len(_LEVELS) * _SEEDS))
    return parse_study(
        {
            "name": "large",
            "question": "What do many trials take?",
            "trial": {
                "data": {
                    "source": "digits",
                    "train_size": 300,
                    "bias": {"kind": "dominant_class", "level": 0.9, "class": 3},
                },
                "model": {"name": "mlp"},
                "method": {"name": "l2rw"},
                "optim": {"name": "sgd", "lr": 0.1, "epochs": _EPOCHS},
            },
            "design": {
                "kind": "grid",
                "factors": {
                    "optim.lr": [round(0.001 * (number + 1), 6) for number in range(rates)],
                    "data.bias.level": list(_LEVELS),
                    "method.name": list(_METHODS),
                },
            },
            "seeds": _SEEDS,
        }
    )


def fill(folder: StudyFolder, spec: StudySpec, plan: Sequence[PlannedTrial], *, merged: bool) -> None:
    """Write a ledger of all trials of a plan, or with `merged` off a file for each of them."""
    folder.create()
    folder.write_plan(spec, plan)
    template = as_table(_record(plan[0]))
    loose = plan if not merged else plan[len(plan) - min(_LOOSE, len(plan)) :]
    first, number = 0, 1
    while merged and first < len(plan) - len(loose):
        size = max(256, (len(plan) - len(loose) - first) // 2)  # as compactions leave them
        part = plan[first : min(first + size, len(plan) - len(loose))]
        path = folder.trials / f"compacted-{number:08d}.parquet"
        pq.write_table(
            _rows(template, part), path, compression="zstd", write_page_checksum=True, row_group_size=256
        )
        first, number = first + len(part), number + 1
    rows = _rows(template, loose)
    for place, trial in enumerate(loose):
        path = folder.trial_file(trial.trial_id)
        pq.write_table(rows.slice(place, 1), path, compression="zstd", write_page_checksum=True)


def _record(trial: PlannedTrial) -> TrialRecord:
    metrics = {
        "validation_balanced_accuracy": 0.5,
        "effective_sample_size": 20.0,
        "zero_weight_fraction": 0.5,
    }
    return TrialRecord(
        trial_id=trial.trial_id,
        status="completed",
        seed=trial.seed,
        attempt=1,
        config=trial.config.model_dump_json(),
        method="l2rw",
        epochs=_EPOCHS,
        steps=10 * _EPOCHS,
        duration_s=float(_EPOCHS),
        versions={"torch": "2.15.0"},
        commit=None,
        workers=1,
        cpus_per_worker=1,
        gpus_per_worker=0.0,
        started_at=datetime(2026, 5, 1, tzinfo=UTC),
        metrics={**metrics, "test_balanced_accuracy": 0.5, "test_accuracy": 0.5, "overhead_ratio": 2.0},
        history=tuple(
            EpochCompleted(trial.trial_id, epoch, 10 * epoch, 1.0, metrics) for epoch in range(1, _EPOCHS + 1)
        ),
    )


def _rows(template: pa.Table, trials: Sequence[PlannedTrial]) -> pa.Table:
    """Return the template's row for each trial, with its own id, seed, method and metrics."""
    rows = template.take(pa.array([0] * len(trials)))
    rng = np.random.default_rng(0)
    levels = np.array([trial.factors["data.bias.level"] for trial in trials])
    test = 0.8 - 0.2 * levels + rng.normal(0, 0.02, len(trials))
    own = {
        "trial_id": [trial.trial_id for trial in trials],
        "seed": [trial.seed for trial in trials],
        "method": [trial.factors["method.name"] for trial in trials],
        "test_balanced_accuracy": test,
        "test_accuracy": test,
        "validation_balanced_accuracy": test + rng.normal(0, 0.01, len(trials)),
    }
    for name, values in own.items():
        if name in SCHEMA.names:
            place = SCHEMA.get_field_index(name)
            rows = rows.set_column(place, SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type))
    return rows


def cost_of(arguments: Sequence[str]) -> Cost:
    """Run a process to its end.

    Raises:
        RuntimeError: It failed.
    """
    with tempfile.TemporaryFile("w+") as output:
        began = perf_counter()
        command = [sys.executable, "-c", _PEAK + arguments[0], *arguments[1:]]
        process = subprocess.Popen(command, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise RuntimeError(f"{arguments[-3:]} ended with {process.returncode}:\n{text[-2000:]}")
    (peak_kib,) = re.findall(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)[-1:]
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, int(peak_kib) / 1024, text)


def measure(step: str, trials: int, scratch: Path) -> Cost:
    """Measure a step on a study of so many trials; ledgers are made once per size."""
    study, plain = scratch / f"{trials}.yaml", scratch / f"{trials}"
    folder = StudyFolder(scratch / f"{trials}{'-files' if step in ('files', 'compact') else ''}-run")
    if not folder.study_file.exists():
        spec = large_study(trials)
        dump_study(spec, study)
        fill(folder, spec, plan_study(spec), merged=step not in ("files", "compact"))
    commands = {
        "plan": [_COMMAND, "plan", str(study), "--out", str(plain)],
        "resume": [_COMMAND, "plan", str(study), "--out", str(folder.path)],
        "status": [_COMMAND, "status", str(folder.path), "--json"],
        "read": [_READ, str(folder.path)],
        "files": [_READ, str(folder.path)],
        "compact": [_COMPACT, str(folder.path)],
        "history": [_HISTORY, str(folder.path)],
        "report": [_COMMAND, "report", str(folder.path)],
        "track": [_COMMAND, "track", str(folder.path)],
    }
    return cost_of(commands[step])


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Return the slope from the smallest size to the largest, on logarithmic axes."""
    (first, *_, last), (low, *_, high) = sizes, costs
    return math.log(high / low) / math.log(last / first)


def page_mib(folder: Path) -> float:
    """Return the size of a report's page; 0 without one."""
    page = folder / "report" / "report.html"
    return page.stat().st_size / 2**20 if page.exists() else 0.0


def main() -> None:
    """Measure the steps and print a row for each, and its exponent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[2_000, 20_000, 100_000])
    parser.add_argument(
        "--steps",
        nargs="+",
        default=["plan", "resume", "status", "read", "history", "report"],
        choices=["plan", "resume", "status", "read", "history", "report", "files", "compact", "track"],
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for step in options.steps:
            costs = []
            for trials in options.trials:
                costs.append(measure(step, trials, Path(name)))
                found = costs[-1]
                print(
                    f"{step:8} {trials:7,} trials  {found.wall_s:7.1f} s  CPU {found.cpu_s:7.1f} s  "
                    f"{found.memory_mib:6,.0f} MiB"
                    + (
                        f"  page {page_mib(Path(name) / f'{trials}-run'):.1f} MiB" if step == "report" else ""
                    ),
                    flush=True,
                )
            if len(costs) > 1:
                print(f"{step:8} exponent {exponent(options.trials, [each.cpu_s for each in costs]):.2f}")


if __name__ == "__main__":
    main()
