"""Time of writing the report of a large study, from a ledger of random metrics.

The ledger has ten methods at five levels over ten seeds, 500 trials of 50 epochs. The report is written
by `l2rw-ray report` in a fresh process, imports included.

    python benchmarks/report_time.py [--trials 500] [--epochs 50] [--target 20] [--json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np

from l2rw_ray.config import PlannedTrial, Resources, StudySpec, parse_study
from l2rw_ray.events import EpochCompleted
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.schema import TrialRecord
from l2rw_ray.results.writer import write_record

_METHODS = (
    *("uniform", "l2rw", "random", "focal", "resample"),
    *("inverse_frequency", "class_balanced", "meta_only", "finetune_meta", "jtt"),
)
_VALIDATED = "validation_balanced_accuracy"
_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9)
_REPORT = "import sys; from l2rw_ray.cli import main; sys.argv[1:] = ['report', sys.argv[1]]; main()"


def draw_study(folder: StudyFolder, trials: int, epochs: int) -> None:
    """Write plan and ledger of a study that was never run.

    Args:
        folder: Where to write.
        trials: How many; rounded up to whole seeds.
        epochs: Of each.
    """
    seeds = -(-trials // (len(_METHODS) * len(_LEVELS)))
    spec = parse_study(
        {
            "name": "report-time",
            "question": "How long does a report take?",
            "trial": {
                "data": {
                    "source": "digits",
                    "train_size": 300,
                    "bias": {"kind": "dominant_class", "level": 0.9, "class": 3},
                },
                "model": {"name": "mlp"},
                "method": {"name": "l2rw"},
                "optim": {"name": "sgd", "lr": 0.1, "epochs": epochs},
            },
            "design": {
                "kind": "grid",
                "factors": {"data.bias.level": list(_LEVELS), "method.name": list(_METHODS)},
            },
            "seeds": seeds,
        }
    )
    folder.create()
    plan = _plan(spec)
    folder.write_plan(spec, plan)
    rng = np.random.default_rng(0)
    for trial in plan:
        write_record(folder, _record(trial, epochs, rng))


def _plan(spec: StudySpec) -> list[PlannedTrial]:
    points = [{"data.bias.level": level, "method.name": method} for level in _LEVELS for method in _METHODS]
    return [
        PlannedTrial(f"{number:04x}{seed:04x}" * 2, spec.trial, seed, Resources(), point)
        for number, point in enumerate(points)
        for seed in spec.seed_values
    ]


def _record(trial: PlannedTrial, epochs: int, rng: np.random.Generator) -> TrialRecord:
    final = float(0.8 - 0.2 * trial.factors["data.bias.level"] + rng.normal(0, 0.02))
    curve = final - 0.5 * np.exp(-np.arange(1, epochs + 1) / 8) + rng.normal(0, 0.01, epochs)
    weights = {"effective_sample_size": 20.0, "zero_weight_fraction": 0.5, "corrupted_auroc": 0.8}
    history = tuple(
        EpochCompleted(trial.trial_id, number, 10 * number, 1.0, weights | {_VALIDATED: value})
        for number, value in enumerate(curve.tolist(), start=1)
    )
    return TrialRecord(
        trial_id=trial.trial_id,
        status="completed",
        seed=trial.seed,
        attempt=1,
        config=trial.config.model_dump_json(),
        method=str(trial.factors["method.name"]),
        epochs=epochs,
        steps=10 * epochs,
        duration_s=float(epochs),
        versions={},
        commit=None,
        workers=1,
        cpus_per_worker=1,
        gpus_per_worker=0.0,
        started_at=datetime(2024, 5, 1, tzinfo=UTC),
        metrics={"test_balanced_accuracy": final, "test_accuracy": final, "overhead_ratio": 2.0, **weights},
        history=history,
    )


def report_time_s(folder: Path) -> float:
    """Return the wall time of the command in a process of its own."""
    started = perf_counter()
    subprocess.run([sys.executable, "-c", _REPORT, str(folder)], check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--target", type=float, default=20.0, help="seconds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = StudyFolder(Path(scratch) / "study")
        draw_study(folder, options.trials, options.epochs)
        trials = len(folder.read_plan())
        time_s = report_time_s(folder.path)
    if options.json:
        print(json.dumps({"trials": trials, "epochs": options.epochs, "report_time_s": time_s}))
    else:
        print(f"{trials} trials of {options.epochs} epochs: {time_s:.1f} s (target {options.target:g} s)")
    return 0 if time_s <= options.target else 1


if __name__ == "__main__":
    raise SystemExit(main())
