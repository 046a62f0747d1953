"""Two studies that start at the same time on a cluster with room for one worker group, for two revisions.

Trials sleep for two seconds. The cluster is one of one core, on this machine. The revisions take turns.

    git worktree add ../before main
    python benchmarks/shared_cluster.py [--against ../before] [--rounds 2] [--trials 20] [--priority 1]

Prints for each of the two studies when its first and its last trial started, in seconds after both were
launched with `l2rw-ray run --address`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import time

from ray.cluster_utils import Cluster

from l2rw_ray.results import read_study

_ROOT = Path(__file__).parents[1]
_MAIN = "from l2rw_ray.cli import main; main()"
_TRIAL_S = 2.0
_CODE = """
from time import sleep

def main(trial, step: int):
    sleep({seconds})
    return {{"test_loss": 0.5}}
"""


def write_study(folder: Path, name: str, trials: int) -> Path:
    """Write a study whose trials sleep."""
    (folder / "sleeper.py").write_text(_CODE.format(seconds=_TRIAL_S), encoding="utf-8")
    study = {
        "name": name,
        "question": "Who gets the core?",
        "trial": {"function": "sleeper:main", "params": {"step": 0}},
        "metrics": {"test_loss": {"mode": "min"}},
        "design": {"kind": "grid", "factors": {"step": [0]}},
        "seeds": trials,
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(study), encoding="utf-8")  # which is YAML too
    return path


def measure(source: Path, address: str, trials: int, priority: float) -> dict[str, dict[str, float]]:
    """Run two studies with the code in `source`. Returns their times by name, and prints what they said."""
    variables = os.environ | {"PYTHONPATH": str(source)}
    with tempfile.TemporaryDirectory() as name:
        folder, began = Path(name), time()
        running = {}
        for study, weight in (("alpha", 1.0), ("beta", priority)):
            file = write_study(folder, study, trials)
            command = [sys.executable, "-P", "-c", _MAIN, "run", str(file), "--address", address]
            command += ["--no-mlflow", "--out", str(folder / study)]
            command += ["--priority", str(weight)] if weight != 1 else []
            log = (folder / f"{study}.log").open("w", encoding="utf-8")
            running[study] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=variables)
        for study, process in running.items():
            if process.wait():
                sys.exit((folder / f"{study}.log").read_text(encoding="utf-8"))
            said = (folder / f"{study}.log").read_text(encoding="utf-8").splitlines()
            print(
                "\n".join(line for line in said if line.startswith(("waiting", "sharing"))), file=sys.stderr
            )
        return {study: _times(folder / study, began) for study in running}


def _times(out: Path, began: float) -> dict[str, float]:
    rows = read_study(out).to_pylist()
    started = sorted(row["started_at"].timestamp() - began for row in rows)
    return {"first_trial_s": round(started[0], 1), "last_trial_s": round(started[-1], 1)}


def main() -> None:
    """Measure each revision in turn and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--priority", type=float, default=1.0, help="of the second study")
    options = parser.parse_args()
    sources = {"here": _ROOT} | ({"against": options.against.resolve()} if options.against else {})
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    found: dict[str, list[dict[str, dict[str, float]]]] = {}
    for _ in range(options.rounds):
        for name, source in sources.items():
            cluster = Cluster(
                initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
            )
            try:
                found.setdefault(name, []).append(
                    measure(source, cluster.address, options.trials, options.priority)
                )
            finally:
                cluster.shutdown()
            print(name, found[name][-1], os.getloadavg()[0], file=sys.stderr)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
