"""The study with Ray Tune: a grid over arms and seeds, restored where it was interrupted."""

from pathlib import Path

import ray
from arms import ARMS, SEEDS
from noisy_digits import train
from paired_table import write_report
from ray import tune


def run(config: dict[str, object]) -> None:
    """Train one trial."""
    tune.report(train(config["seed"], **ARMS[config["arm"]]))


if __name__ == "__main__":
    ray.init(num_cpus=2)
    experiment = Path("tune/noisy-digits").resolve()
    # part: resume
    if tune.Tuner.can_restore(experiment):
        tuner = tune.Tuner.restore(str(experiment), run, resume_errored=True)
    else:
        # part: study
        tuner = tune.Tuner(
            run,
            param_space={"arm": tune.grid_search(list(ARMS)), "seed": tune.grid_search(SEEDS)},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(name=experiment.name, storage_path=str(experiment.parent)),
        )
    results = tuner.fit()
    # part: report
    names = {"config/arm": "arm", "config/seed": "seed"}
    write_report(results.get_dataframe().rename(columns=names))
