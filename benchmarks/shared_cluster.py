"""Two studies that start at the same time on a cluster with room for one worker group, for two revisions.

Trials sleep for two seconds. The cluster is one of one core, on this machine. The revisions take turns.

    git worktree add ../before main
    python benchmarks/shared_cluster.py [--against ../before] [--rounds 2] [--trials 20] [--submit]

Prints for each of the two studies when its first and its last trial started, in seconds after both were
launched with `l2rw-ray run --address`, or with `l2rw-ray submit`.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
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


def measure(launch: Sequence[str], trials: int, priority: float) -> dict[str, dict[str, float]]:
    """Launch two studies by a command. Returns their times by name, and prints what they said."""
    with tempfile.TemporaryDirectory() as name:
        folder, began = Path(name), time()
        running = {}
        for study, weight in (("alpha", 1.0), ("beta", priority)):
            file = write_study(folder, study, trials)
            command = [sys.executable, "-P", "-c", _MAIN, *launch, str(file), "--no-mlflow"]
            command += ["--out", str(folder / study)]
            command += ["--priority", str(weight)] if weight != 1 else []
            log = (folder / f"{study}.log").open("w", encoding="utf-8")
            running[study] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
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


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def main() -> None:
    """Measure each revision in turn and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--priority", type=float, default=1.0, help="of the second study")
    parser.add_argument("--submit", action="store_true", help="launch them as jobs")
    options = parser.parse_args()
    sources = {"here": _ROOT} | ({"against": options.against.resolve()} if options.against else {})
    binaries = str(Path(sys.executable).parent)  # where jobs find the command
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ["PATH"] = f"{binaries}:{os.environ['PATH']}"
    found: dict[str, list[dict[str, dict[str, float]]]] = {}
    for _ in range(options.rounds):
        for name, source in sources.items():
            os.environ["PYTHONPATH"] = str(source)  # of drivers, and of the cluster's workers and jobs
            head = {"num_cpus": 1, "include_dashboard": options.submit, "dashboard_port": free_port()}
            cluster = Cluster(initialize_head=True, head_node_args=head)
            run, submit = (
                ("run", "--address", cluster.address),
                ("submit", "--address", f"http://{cluster.head_node.webui_url}"),
            )
            try:
                found.setdefault(name, []).append(
                    measure(submit if options.submit else run, options.trials, options.priority)
                )
            finally:
                cluster.shutdown()
            print(name, found[name][-1], os.getloadavg()[0], file=sys.stderr)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
