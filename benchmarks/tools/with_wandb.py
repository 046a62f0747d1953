"""The study with W&B's offline runs, in a loop over two processes, as its sweeps need a server.

W&B has no way to read offline runs before they are uploaded, so results go into a file of our own too.
"""

import json
from pathlib import Path

import pandas as pd
import wandb
from arms import ARMS, SEEDS
from joblib import Parallel, delayed
from noisy_digits import train
from paired_table import write_report

SETTINGS = wandb.Settings(mode="offline", silent=True)


def run(arm: str, seed: int) -> dict[str, object]:
    """Train one trial as a run of W&B."""
    config = {"seed": seed, **ARMS[arm]}
    with wandb.init(project="noisy-digits", group=arm, config=config, settings=SETTINGS) as logged:
        metrics = train(**config)
        logged.log(metrics)
    return {"arm": arm, "seed": seed, **metrics}


if __name__ == "__main__":
    trials = [(arm, seed) for arm in ARMS for seed in SEEDS]
    # part: resume
    results = Path("results.jsonl")
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    done = {(row["arm"], row["seed"]) for row in rows}
    trials = [trial for trial in trials if trial not in done]
    with results.open("a") as file:
        # part: study
        calls = (delayed(run)(*trial) for trial in trials)
        for row in Parallel(n_jobs=2, return_as="generator_unordered")(calls):
            rows.append(row)
            # part: resume
            print(json.dumps(row), file=file, flush=True)
    # part: report
    write_report(pd.DataFrame(rows))
