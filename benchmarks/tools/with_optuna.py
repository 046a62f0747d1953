"""The study with Optuna: a grid over arms and seeds, in a journal that two processes work on."""

import optuna
from arms import ARMS, SEEDS
from joblib import Parallel, delayed
from noisy_digits import train
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from paired_table import write_report

GRID = {"arm": list(ARMS), "seed": SEEDS}


def objective(trial: optuna.Trial) -> float:
    """Train one trial."""
    arm = trial.suggest_categorical("arm", GRID["arm"])
    seed = trial.suggest_categorical("seed", GRID["seed"])
    return train(seed, **ARMS[arm])["test_accuracy"]


def open_study() -> optuna.Study:
    """Create the study, or open it."""
    return optuna.create_study(
        study_name="noisy-digits",
        storage=JournalStorage(JournalFileBackend("optuna.log")),
        sampler=optuna.samplers.GridSampler(GRID, seed=0),
        direction="maximize",
        load_if_exists=True,
    )


def work() -> None:
    """Run trials until the grid is exhausted."""
    open_study().optimize(objective)


if __name__ == "__main__":
    study = open_study()
    # part: resume
    if not study.sampler.is_exhausted(study):
        Parallel(n_jobs=2)(delayed(work)() for _ in range(2))
    # part: report
    scores = study.trials_dataframe().query("state == 'COMPLETE'")
    scores = scores.rename(columns={"params_arm": "arm", "params_seed": "seed", "value": "test_accuracy"})
    # two processes may both take the last point of the grid
    write_report(scores.drop_duplicates(["arm", "seed"]))
