"""What a further worker group costs the driver's node: memory and CPU time, with 8, 16 and 32 groups.

A simulated cluster has a head without CPUs, on which the driver runs, and a second node with as many fake
CPUs as groups. Trials only sleep, and workers import no torch: what they take is another node's. Measured are
all processes of the head: driver, broker, Ray's GCS, raylet and agents.

    python benchmarks/head_cost.py [--groups 8 16 32] [--trials-per-group 2] [--trial-s 45]

Prints private memory at its peak and CPU time from the start of the driver's run to its end, the slope per
further group between the smallest and the largest number, and what 256 groups would take beside the head of
`cluster.yaml` (16 GB).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter, sleep

import psutil

from l2rw_ray.config import PlannedTrial, StudySpec, parse_study
from l2rw_ray.events import Event, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.orchestration.broker.trial_queue import Lease, WorkerGroupCommand
from l2rw_ray.orchestration.run import RunOptions, run_missing_trials
from l2rw_ray.orchestration.workers.actor import TrainWorker
from l2rw_ray.orchestration.workers.run_config import WorkerGroupConfig
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results.folder import StudyFolder

_HEAD_BYTES = 16 * 10**9
"""Memory of the head in `cluster.yaml`, an m5.xlarge."""
_EXTRAPOLATED = 256
_MIB = 2**20


class SleepingWorker(TrainWorker):
    """A worker whose trials sleep."""

    def train(self, settings: WorkerGroupConfig, variables: Mapping[str, str]) -> None:
        """Lease trials and sleep."""
        while True:
            order = settings.broker.lease(settings.name, settings.resources, 20.0)
            if order is WorkerGroupCommand.LEAVE:
                return
            if isinstance(order, Lease):
                _sleep(order, settings)


def _sleep(lease: Lease, settings: WorkerGroupConfig) -> None:
    trial, duration_s = lease.trial, float(os.environ.get("L2RW_TRIAL_S", "45"))
    start = TrialStarted(trial.trial_id, lease.attempt, 1, "cpu", "a core", 60, 1, {}, {})
    settings.broker.report([start], lease.attempt)
    sleep(duration_s)
    end = TrialEnded(trial.trial_id, TrialStatus.FAILED, 0, 0, duration_s, error="ValueError: it only slept")
    settings.broker.report([end], lease.attempt)


def sleeping_study(trials: int) -> StudySpec:
    """A study of so many trials on one core each."""
    return parse_study(
        {
            "name": "head-cost",
            "question": "What does a worker group cost the head?",
            "trial": {
                "data": {"source": "digits"},
                "model": {"name": "lenet"},
                "method": {"name": "uniform"},
                "optim": {"name": "sgd", "lr": 0.01, "batch_size": 50, "epochs": 1},
            },
            "design": {"kind": "grid", "factors": {"method.name": ["uniform"]}},
            "seeds": trials,
        }
    )


class HeadProcesses(threading.Thread):
    """Samples this process and those below it, without those of the second node.

    Args:
        second: Process id of the second node's raylet.
    """

    def __init__(self, second: int) -> None:
        super().__init__(daemon=True)
        self._second, self._over = second, threading.Event()
        self._cpu: dict[int, float] = {}
        self._before: dict[int, float] = {}
        self.peak_bytes, self.parts = 0, dict[str, int]()

    def run(self) -> None:
        """Sample until `stop`."""
        self._before = {process.pid: _cpu_s(process) for process in self._processes()}
        while not self._over.wait(0.5):
            self._sample()

    def stop(self) -> float:
        """Stop. Returns the CPU time of all processes since the start, in seconds."""
        self._sample()
        self._over.set()
        self.join()
        return sum(used - self._before.get(pid, 0.0) for pid, used in self._cpu.items())

    def _sample(self) -> None:
        parts: dict[str, int] = {}
        for process in self._processes():
            with suppress(psutil.Error):
                self._cpu[process.pid] = _cpu_s(process)
                name = _name(process)
                parts[name] = parts.get(name, 0) + process.memory_full_info().uss
        if sum(parts.values()) > self.peak_bytes:
            self.peak_bytes, self.parts = sum(parts.values()), parts

    def _processes(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            other = psutil.Process(self._second)
            beyond = {other.pid, *(process.pid for process in other.children(recursive=True))}
            own = psutil.Process()
            return [own, *(each for each in own.children(recursive=True) if each.pid not in beyond)]
        return []


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        used = process.cpu_times()
        return float(used.user + used.system)
    return 0.0


def _name(process: psutil.Process) -> str:
    line = process.cmdline()
    return "driver" if process.pid == os.getpid() else Path(line[0]).name if len(line) > 1 else line[0]


class Concurrency:
    """Observer that notes how many trials ran at once."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self.most = 0

    def __call__(self, event: Event) -> None:
        """Count running trials."""
        if isinstance(event, TrialStarted):
            self._running.add(event.trial_id)
        elif isinstance(event, TrialEnded):
            self._running.discard(event.trial_id)
        self.most = max(self.most, len(self._running))


def measure(groups: int, trials_per_group: int) -> dict[str, float]:
    """Run the study with so many worker groups on a fresh cluster.

    Returns:
        `memory_mib` of all processes of the head, `driver_mib` of the driver's, `cpu_s`, `wall_s`, and
        `concurrent`, the number of trials that ran at once.
    """
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    node = cluster.add_node(num_cpus=groups)
    head = HeadProcesses(node.all_processes["raylet"][0].process.pid)
    concurrency = Concurrency()
    spec = sleeping_study(groups * trials_per_group)
    planned: tuple[PlannedTrial, ...] = plan_study(spec)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = StudyFolder(Path(name) / "study")
            folder.create()
            head.start()
            began = perf_counter()
            options = RunOptions(cluster.address, max_concurrent_trials=groups)
            run_missing_trials(spec, planned, folder, options, lambda *_, **__: [concurrency])
            wall_s = perf_counter() - began
            cpu_s = head.stop()
    finally:
        cluster.shutdown()
    return {
        "groups": groups,
        "concurrent": concurrency.most,
        "memory_mib": round(head.peak_bytes / _MIB),
        "driver_mib": round(head.parts.get("driver", 0) / _MIB),
        "cpu_s": round(cpu_s, 1),
        "wall_s": round(wall_s, 1),
    }


def measured(groups: int, options: argparse.Namespace) -> dict[str, float]:
    """Measure in a process of its own, which starts without what an earlier run has imported."""
    numbers = ("--trials-per-group", str(options.trials_per_group), "--trial-s", str(options.trial_s))
    command = [sys.executable, __file__, "--only", str(groups), *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(done.stdout.splitlines()[-1], file=sys.stderr)
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def main() -> None:
    """Measure each number of groups and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--groups", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--trials-per-group", type=int, default=2)
    parser.add_argument("--trial-s", type=float, default=45.0)
    parser.add_argument("--only", type=int, help="measure one number of groups, and print that")
    options = parser.parse_args()
    if options.only:
        os.environ |= {"L2RW_TRIAL_S": str(options.trial_s), "RAY_AUTH_MODE": "disabled"}
        from l2rw_ray.orchestration.workers.group import WorkerGroup

        WorkerGroup.actor = SleepingWorker
        print(json.dumps(measure(options.only, options.trials_per_group)))
        return
    rows = [measured(groups, options) for groups in options.groups]
    first, last = rows[0], rows[-1]
    further = last["concurrent"] - first["concurrent"]
    slope = {name: (last[name] - first[name]) / further for name in ("memory_mib", "cpu_s")}
    expected_mib = last["memory_mib"] + slope["memory_mib"] * (_EXTRAPOLATED - last["concurrent"])
    summary = {
        "rows": rows,
        "per_further_group": {name: round(value, 2) for name, value in slope.items()},
        f"memory_gib_at_{_EXTRAPOLATED}_groups": round(expected_mib / 1024, 1),
        "share_of_head": round(expected_mib * _MIB / _HEAD_BYTES, 2),
    }
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
