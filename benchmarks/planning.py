"""Time of `l2rw-ray plan` for many trials, without a ledger and with a full one.

    python benchmarks/planning.py [--trials 2000] [--rounds 3]

Target: 2,000 planned trials in under 2 s.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

from l2rw_ray.config import StudySpec, parse_study
from l2rw_ray.config.loading import dump_study
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.schema import TrialRecord
from l2rw_ray.results.writer import write_record


def large_study(trials: int) -> StudySpec:
    """Return a grid of that many trials, ten seeds each."""
    levels = [round(0.001 * (number + 1), 6) for number in range(trials // 10)]
    return parse_study(
        {
            "name": "large",
            "question": "How long does planning take?",
            "trial": {
                "data": {"source": "digits"},
                "model": {"name": "mlp"},
                "method": {"name": "l2rw"},
                "optim": {"name": "sgd", "lr": 0.1},
            },
            "design": {"kind": "grid", "factors": {"optim.lr": levels}},
            "seeds": 10,
        }
    )


def fill(folder: StudyFolder, spec: StudySpec) -> None:
    """Write a row for every trial of a study."""
    folder.create()
    for trial in plan_study(spec):
        record = TrialRecord(
            trial_id=trial.trial_id,
            status="completed",
            seed=trial.seed,
            attempt=1,
            config=trial.config.model_dump_json(),
            method="l2rw",
            epochs=1,
            steps=1,
            duration_s=1.0,
            versions={},
            commit=None,
            workers=1,
            cpus_per_worker=1,
            gpus_per_worker=0.0,
            started_at=datetime.now(UTC),
            metrics={"validation_balanced_accuracy": 0.5 + trial.seed / 100},
        )
        write_record(folder, record)


def seconds(study: Path, out: Path, rounds: int) -> float:
    """Return the median wall time of the command in a process of its own."""
    command = [sys.executable, "-c", "from l2rw_ray.cli import main; main()", "plan", str(study)]
    times = []
    for _ in range(rounds):
        started = perf_counter()
        subprocess.run([*command, "--out", str(out)], check=True, capture_output=True)
        times.append(perf_counter() - started)
    return median(times)


def main() -> None:
    """Measure both and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    spec = large_study(options.trials)
    with tempfile.TemporaryDirectory() as name:
        study, out = Path(name) / "study.yaml", Path(name) / "out"
        dump_study(spec, study)
        alone_s = seconds(study, out, options.rounds)
        fill(StudyFolder(out), spec)
        beside_s = seconds(study, out, options.rounds)
    results = {"trials": len(plan_study(spec)), "plan_s": alone_s, "plan_beside_full_ledger_s": beside_s}
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
