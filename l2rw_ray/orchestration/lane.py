"""Lanes: long-lived Ray Train worker groups that train one trial after another."""

import logging
import threading
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import ray
import ray.train
from ray.train.torch import TorchTrainer

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.failure_policy import MAX_ATTEMPTS
from l2rw_ray.orchestration.worker import LaneSettings, work_lane

_MANY_TRIALS = 1000
_FAILED_STARTS = 2
"""Times a group may fail to come up before its lane is given up."""


class Lanes:
    """The worker groups of one run, each driven by a thread of this process.

    Args:
        broker: Handle of the broker actor.
        resources: What each worker takes.
        checkpoints: The study's checkpoint folder.
        storage: Scratch folder for Ray Train.
        trials: Trials left to run, None where their number is not known; a lane that lost its workers
            more often than all of them may be lost is given up.
        report_every_s: Shortest time from one report of a trial's epochs to the next.
        most_trials: Trials after which a lane's workers are replaced.
    """

    def __init__(
        self,
        broker: Any,
        resources: Resources,
        checkpoints: Path,
        storage: Path,
        trials: int | None,
        report_every_s: float,
        most_trials: int,
    ) -> None:
        self._broker, self._resources, self._report_every_s = broker, resources, report_every_s
        self._checkpoints, self._storage, self._most_trials = checkpoints, storage, most_trials
        self._most_losses = MAX_ATTEMPTS * (_MANY_TRIALS if trials is None else trials)
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
        """Wait until the lanes that were sent home have gone, all together no longer than this."""
        deadline = monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(deadline - monotonic(), 0.0))

    def _drive(self, name: str) -> None:
        try:
            for generation in count():
                self._trainer(name, generation).fit()
                if not ray.get(self._broker.wants_lane.remote()):
                    break
        except Exception as error:  # whatever ended the lane, its trial and the proxies must hear of it
            last_line = (str(error).strip().splitlines() or [""])[-1]
            self.errors.append(f"{name}: {type(error).__name__}: {last_line}")
            logging.getLogger(__name__).debug("lane %s ended", name, exc_info=True)
        finally:
            with self._lock:
                self._running -= 1
                last = self._running == 0
            if ray.is_initialized():
                self._broker.lane_ended.remote(name)
                if last:
                    self._broker.abandon.remote()

    def _trainer(self, name: str, generation: int) -> TorchTrainer:
        resources = self._resources
        per_worker = {"CPU": float(resources.cpus_per_worker)}
        if resources.gpus_per_worker:
            per_worker["GPU"] = resources.gpus_per_worker
        settings = LaneSettings(
            name, self._broker, self._checkpoints, Path.cwd(), self._report_every_s, self._most_trials
        )
        return TorchTrainer(
            work_lane,
            train_loop_config={"settings": settings},
            scaling_config=ray.train.ScalingConfig(
                num_workers=resources.workers,
                use_gpu=resources.gpus_per_worker > 0,
                resources_per_worker=per_worker,
            ),
            run_config=ray.train.RunConfig(
                name=f"{name}-{generation}",
                storage_path=str(self._storage),
                failure_config=ray.train.FailureConfig(
                    max_failures=self._most_losses, controller_failure_limit=_FAILED_STARTS
                ),
                logging_config=ray.train.LoggingConfig(log_level="ERROR"),
            ),
        )
