"""Lanes: long-lived Ray Train worker groups that train one trial after another."""

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train.torch import TorchTrainer

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.worker import LaneSettings, work_lane

_GROUP_RESTARTS = 1000
"""Ray Train's own limit; the broker's failure policy is the one that counts."""


def lane_count(resources: Resources, cluster: Mapping[str, float], trials: int, limit: int | None) -> int:
    """How many lanes fit: whole worker groups in the cluster's free slots, at most one per trial.

    Args:
        resources: What each worker takes.
        cluster: The cluster's resources by Ray's names.
        trials: Trials left to run.
        limit: The user's own limit, if any.

    Returns:
        The number of lanes, 0 when not even one fits.
    """
    slots = cluster.get("CPU", 0.0) / resources.cpus_per_worker
    if resources.gpus_per_worker:
        slots = min(slots, cluster.get("GPU", 0.0) / resources.gpus_per_worker)
    return min(int(slots) // resources.workers, trials, limit or trials)


class Lanes:
    """The worker groups of one run, each driven by a thread of this process.

    Args:
        broker: Handle of the broker actor.
        resources: What each worker takes.
        checkpoints: The study's checkpoint folder.
        storage: Scratch folder for Ray Train.
    """

    def __init__(self, broker: Any, resources: Resources, checkpoints: Path, storage: Path) -> None:
        self._broker, self._resources = broker, resources
        self._checkpoints, self._storage = checkpoints, storage
        self._threads: list[threading.Thread] = []
        self._running = 0
        self._lock = threading.Lock()
        self.errors: list[str] = []

    def start(self, names: Sequence[str]) -> None:
        """Start one lane per name; they come up in the background."""
        self._running = len(names)
        for name in names:
            thread = threading.Thread(target=self._drive, args=(name,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until the lanes that were sent home have gone."""
        for thread in self._threads:
            thread.join(timeout_s)

    def _drive(self, name: str) -> None:
        try:
            self._trainer(name).fit()
        except (ray.exceptions.RayError, ray.train.TrainingFailedError) as error:
            self.errors.append(f"{name}: {type(error).__name__}: {str(error).strip().splitlines()[-1]}")
            logging.getLogger(__name__).debug("lane %s ended", name, exc_info=True)
        with self._lock:
            self._running -= 1
            last = self._running == 0
        if ray.is_initialized():
            self._broker.lane_ended.remote(name)
            if last:
                self._broker.abandon.remote()

    def _trainer(self, name: str) -> TorchTrainer:
        resources = self._resources
        per_worker = {"CPU": float(resources.cpus_per_worker)}
        if resources.gpus_per_worker:
            per_worker["GPU"] = resources.gpus_per_worker
        settings = LaneSettings(name, self._broker, self._checkpoints, Path.cwd())
        return TorchTrainer(
            work_lane,
            train_loop_config={"settings": settings},
            scaling_config=ray.train.ScalingConfig(
                num_workers=resources.workers,
                use_gpu=resources.gpus_per_worker > 0,
                resources_per_worker=per_worker,
            ),
            run_config=ray.train.RunConfig(
                name=name,
                storage_path=str(self._storage),
                failure_config=ray.train.FailureConfig(max_failures=_GROUP_RESTARTS),
                logging_config=ray.train.LoggingConfig(log_level="ERROR"),
            ),
        )
