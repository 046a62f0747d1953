"""Overhead of a worker group per trial, compared with one `TorchTrainer.fit()` per trial in the same run.

Twenty trials of about one second of training go through one warm worker group. Overhead of the worker group
is its wall time after the first trial over the training time the trials themselves report; overhead of the
plain way is the wall time of a `TorchTrainer.fit()` less the training time inside.

    python benchmarks/study_overhead.py [--trials 20] [--fits 3] [--workers 1]
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from l2rw_ray.config import PlannedTrial, StudySpec, parse_study
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.events import Event, TrialEnded, Verdict
from l2rw_ray.orchestration.cluster.ray_cluster import ray_cluster, scratch_folder
from l2rw_ray.orchestration.run import RunOptions, run_missing_trials
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.training import Ranks, TrainingOptions, train_trial


def one_second_study(trials: int, workers: int) -> StudySpec:
    """A study whose trials train for about a second on the bundled digits."""
    return parse_study(
        {
            "name": "study-overhead",
            "question": "What does a trial cost beside its training?",
            "trial": {
                "data": {"source": "digits", "train_size": 1000, "validation_size": 100, "test_size": 100},
                "model": {"name": "lenet"},
                "method": {"name": "uniform"},
                "optim": {"name": "sgd", "lr": 0.01, "batch_size": 50, "epochs": 15},
            },
            "design": {"kind": "grid", "factors": {"method.name": ["uniform"]}},
            "seeds": trials,
            "resources": {"workers": workers},
        }
    )


class Stopwatch:
    """Observer that notes when each trial ended and how long it trained."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def __call__(self, event: Event) -> None:
        """Note the end of a trial."""
        if isinstance(event, TrialEnded):
            self.ends.append((perf_counter(), event.duration_s))


def group_overhead(spec: StudySpec) -> dict[str, float]:
    """Wall time over training time of all trials but the first, through one worker group."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as name:
        folder = StudyFolder(Path(name) / "study")
        planned = plan_study(spec)
        folder.create()
        folder.write_plan(spec, planned)
        run_missing_trials(
            spec, planned, folder, RunOptions(max_concurrent_trials=1), lambda *_, **__: [watch]
        )
    wall_s = watch.ends[-1][0] - watch.ends[0][0]
    trained_s = sum(duration for _, duration in watch.ends[1:])
    later = len(watch.ends) - 1
    return {
        "trials": len(watch.ends),
        "training_s_per_trial": trained_s / later,
        "wall_over_training": wall_s / trained_s,
        "overhead_s_per_trial": (wall_s - trained_s) / later,
    }


def train_alone(config: dict[str, PlannedTrial]) -> None:
    """The train loop of a plain `TorchTrainer`: one trial, as a worker group would train it."""
    import ray.train

    def emit(event: Event) -> Verdict:
        if isinstance(event, TrialEnded):
            Path(str(config["result"])).write_text(str(event.duration_s))
        return Verdict.CONTINUE

    trial = config["trial"]
    context = ray.train.get_context()
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    ranks = Ranks(context.get_world_rank(), context.get_world_size())
    train_trial(trial, splits, emit, TrainingOptions(ranks=ranks))


def fit_overhead(spec: StudySpec, fits: int) -> dict[str, float]:
    """Wall time less training time of one `TorchTrainer.fit()` per trial."""
    import ray.train
    from ray.train.torch import TorchTrainer

    overheads = []
    with scratch_folder() as scratch, ray_cluster(None):
        for trial in plan_study(spec)[:fits]:
            result = scratch / trial.trial_id
            trainer = TorchTrainer(
                train_alone,
                train_loop_config={"trial": trial, "result": result},
                scaling_config=ray.train.ScalingConfig(num_workers=spec.resources.workers),
                run_config=ray.train.RunConfig(name=trial.trial_id, storage_path=str(scratch / "train")),
            )
            started = perf_counter()
            trainer.fit()
            overheads.append(perf_counter() - started - float(result.read_text()))
    return {"fits": fits, "overhead_s_per_trial": median(overheads)}


def main() -> None:
    """Measure both ways and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--fits", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    spec = one_second_study(options.trials, options.workers)
    group, fit = group_overhead(spec), fit_overhead(spec, options.fits)
    ratio = fit["overhead_s_per_trial"] / group["overhead_s_per_trial"]
    print(json.dumps({"worker_group": group, "trainer_per_trial": fit, "overhead_ratio": ratio}, indent=2))


if __name__ == "__main__":
    main()
