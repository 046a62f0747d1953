"""The study with no tool: a loop over two processes, which wall times are compared with."""

import json
from pathlib import Path

import pandas as pd
from arms import ARMS, SEEDS
from joblib import Parallel, delayed
from noisy_digits import train
from paired_table import write_report


def run(arm: str, seed: int) -> dict[str, object]:
    """Train one trial."""
    return {"arm": arm, "seed": seed, **train(seed, **ARMS[arm])}


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
