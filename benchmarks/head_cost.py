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
_SAMPLE_EVERY_S = 1.0


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
    """Samples a driver and the processes below it, without those of the second node.

    It runs in another process than the driver, since sampling takes more than what it measures.

    Args:
        driver: Process id of the driver.
        second: Process id of the second node's raylet.
    """

    def __init__(self, driver: int, second: int) -> None:
        super().__init__(daemon=True)
        self._driver, self._second = psutil.Process(driver), psutil.Process(second)
        self._over = threading.Event()
        self._cpu: dict[int, float] = {}
        self._before = {process.pid: _cpu_s(process) for process in self._processes()}
        self.peak_bytes, self.driver_bytes = 0, 0

    def run(self) -> None:
        """Sample until `stop`."""
        while not self._over.wait(_SAMPLE_EVERY_S):
            self._sample()

    def stop(self) -> float:
        """Stop. Returns the CPU time of all processes since the start, in seconds."""
        self._over.set()
        self.join()
        return sum(used - self._before.get(pid, 0.0) for pid, used in self._cpu.items())

    def _sample(self) -> None:
        private: dict[int, int] = {}
        for process in self._processes():
            with suppress(psutil.Error):
                private[process.pid] = process.memory_full_info().uss
                self._cpu[process.pid] = _cpu_s(process)
        if sum(private.values()) > self.peak_bytes:
            self.peak_bytes = sum(private.values())
            self.driver_bytes = private.get(self._driver.pid, 0)

    def _processes(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            beyond = {self._second.pid, *(each.pid for each in self._second.children(recursive=True))}
            below = self._driver.children(recursive=True)
            return [self._driver, *(each for each in below if each.pid not in beyond)]
        return []


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        used = process.cpu_times()
        return float(used.user + used.system)
    return 0.0


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


def run_groups(groups: int, trials_per_group: int) -> None:
    """Run the study with so many worker groups on a fresh cluster.

    Prints the second node's process id once the driver is about to run, then what came of the run: `wall_s`
    and `concurrent`, the number of trials that ran at once.
    """
    from ray.cluster_utils import Cluster

    from l2rw_ray.orchestration.workers.group import WorkerGroup

    WorkerGroup.actor = SleepingWorker
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    node = cluster.add_node(num_cpus=groups)
    concurrency = Concurrency()
    spec = sleeping_study(groups * trials_per_group)
    planned: tuple[PlannedTrial, ...] = plan_study(spec)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = StudyFolder(Path(name) / "study")
            folder.create()
            print(node.all_processes["raylet"][0].process.pid, flush=True)
            began = perf_counter()
            options = RunOptions(cluster.address, max_concurrent_trials=groups)
            run_missing_trials(spec, planned, folder, options, lambda *_, **__: [concurrency])
            wall_s = round(perf_counter() - began, 1)
        print(json.dumps({"concurrent": concurrency.most, "wall_s": wall_s}), flush=True)
    finally:
        cluster.shutdown()


def measure(groups: int, options: argparse.Namespace) -> dict[str, float]:
    """Run so many groups in another process and look at the processes of its head.

    Returns:
        `memory_mib` of all processes of the head, `driver_mib` of the driver's, and `cpu_s`, beside what
        `run_groups` prints.
    """
    numbers = ("--trials-per-group", str(options.trials_per_group))
    command = [sys.executable, __file__, "--only", str(groups), *numbers]
    variables = os.environ | {"L2RW_TRIAL_S": str(options.trial_s), "RAY_AUTH_MODE": "disabled"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as driver:
        assert driver.stdout is not None
        head = HeadProcesses(driver.pid, int(driver.stdout.readline()))
        head.start()
        # Ray prints warnings there too
        outcome = json.loads(next(line for line in driver.stdout if line.startswith("{")))
        cpu_s = head.stop()
    row = {
        "groups": groups,
        "memory_mib": round(head.peak_bytes / _MIB),
        "driver_mib": round(head.driver_bytes / _MIB),
        "cpu_s": round(cpu_s, 1),
        **outcome,
    }
    print(json.dumps(row), file=sys.stderr)
    return row


def main() -> None:
    """Measure each number of groups and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--groups", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--trials-per-group", type=int, default=2)
    parser.add_argument("--trial-s", type=float, default=45.0)
    parser.add_argument("--only", type=int, help="run one number of groups without measuring")
    options = parser.parse_args()
    if options.only:
        run_groups(options.only, options.trials_per_group)
        return
    rows = [measure(groups, options) for groups in options.groups]
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
