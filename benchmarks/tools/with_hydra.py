"""The study with Hydra: a multirun over the arms in `conf/arm` and the seeds, by the joblib launcher."""

import json
from pathlib import Path

import hydra
import pandas as pd
from hydra.core.hydra_config import HydraConfig
from noisy_digits import train
from omegaconf import DictConfig
from paired_table import write_report


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def run(config: DictConfig) -> None:
    """Train one trial, and leave its result in the folder that Hydra gives it."""
    job = HydraConfig.get()
    result = Path(job.runtime.output_dir, "result.json")
    # part: resume
    if result.exists():
        return
    # part: study
    metrics = train(config.seed, **config.arm)
    result.write_text(json.dumps({"arm": job.runtime.choices.arm, "seed": config.seed, **metrics}))


if __name__ == "__main__":
    run()
    # part: report
    results = Path("multirun").glob("*/*/result.json")
    write_report(pd.DataFrame(json.loads(result.read_text()) for result in results))
