"""Lanes: long-lived Ray Train worker groups that train one trial after another."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import ray
import ray.train
from ray.train.torch import TorchTrainer

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.failure_policy import MAX_ATTEMPTS
from l2rw_ray.orchestration.feed import ToCome
from l2rw_ray.orchestration.placement import Nodes, share_out
from l2rw_ray.orchestration.worker import LaneSettings, work_lane

_MANY_TRIALS = 1000
_FAILED_STARTS = 2
"""Times a group may fail to come up before its lane is given up."""
_LOOK_AGAIN_S = 5.0
"""How long a new node may go unnoticed."""


class Lanes:
    """The worker groups of one run, each driven by a thread of this process.

    A further thread starts them where the cluster has room: at the beginning, when lanes of another kind
    have left for want of trials, and when nodes have joined.

    Args:
        broker: Handle of the broker actor.
        checkpoints: The study's checkpoint folder.
        storage: Scratch folder for Ray Train.
        to_come: Trials that the broker has not been given yet.
        nodes: Tells the resources of the nodes that there are.
        limit: The user's own limit of lanes, if any.
        report_every_s: Shortest time from one report of a trial's epochs to the next.
        most_trials: Trials after which a lane's workers are replaced.
    """

    def __init__(
        self,
        broker: Any,
        checkpoints: Path,
        storage: Path,
        *,
        to_come: ToCome,
        nodes: Callable[[], Nodes],
        limit: int | None,
        report_every_s: float,
        most_trials: int,
    ) -> None:
        self._broker, self._to_come, self._nodes, self._limit = broker, to_come, nodes, limit
        self._checkpoints, self._storage = checkpoints, storage
        self._report_every_s, self._most_trials = report_every_s, most_trials
        self._most_losses = MAX_ATTEMPTS * sum(left or _MANY_TRIALS for left in to_come.values())
        self._names, self._lock = count(), threading.Lock()
        self._running: dict[threading.Thread, Resources] = {}
        self._given_up: Counter[Resources] = Counter()
        self._changed, self._ending = threading.Event(), threading.Event()
        self._foreman = threading.Thread(target=self._oversee, name="lanes", daemon=True)
        self.errors: list[str] = []

    def start(self) -> None:
        """Start the lanes that there is room for; they come up in the background."""
        self._start_more()
        self._foreman.start()

    def expect(self, to_come: ToCome) -> None:
        """See `Crew`."""
        self._to_come = to_come

    def number(self, resources: Resources) -> int:
        """See `Crew`; those that have failed count, too."""
        with self._lock:
            return list(self._running.values()).count(resources) + self._given_up[resources]

    def join(self, timeout_s: float) -> None:
        """Start no more, and wait until those sent home have gone, together no longer than this."""
        self._ending.set()
        self._changed.set()
        deadline = monotonic() + timeout_s
        for thread in [self._foreman, *self._running]:
            thread.join(max(deadline - monotonic(), 0.0))

    def _oversee(self) -> None:
        while not self._ending.is_set():
            self._changed.wait(_LOOK_AGAIN_S)
            self._changed.clear()
            try:
                self._start_more()
            except ray.exceptions.RayError:
                return  # the broker died; the run itself finds out and says so

    def _start_more(self) -> None:
        """Start lanes for the trials left; let the proxies go where no lane can train them."""
        left, waiting = dict(self._to_come), ray.get(self._broker.waiting.remote())
        for resources, number in waiting.items():
            known = left.get(resources, 0)
            left[resources] = None if known is None else known + number
        with self._lock:
            running = Counter(self._running.values()) + self._given_up
        new = share_out(left, running, self._nodes(), self._limit)
        if self._ending.is_set():
            return
        for resources, number in new.items():
            for _ in range(number):
                self._start_one(resources)
        if not self._running and any(number != 0 for number in left.values()):
            self._broker.abandon.remote()

    def _start_one(self, resources: Resources) -> None:
        name = f"lane{next(self._names)}"
        thread = threading.Thread(target=self._drive, args=(name, resources), name=name, daemon=True)
        with self._lock:
            self._running[thread] = resources
        thread.start()

    def _drive(self, name: str, resources: Resources) -> None:
        try:
            for generation in count():
                self._trainer(name, generation, resources).fit()
                if not ray.get(self._broker.wants_lane.remote(resources)):
                    break
        except Exception as error:  # whatever ended the lane, its trial and the proxies must hear of it
            last_line = (str(error).strip().splitlines() or [""])[-1]
            self.errors.append(f"{name}: {type(error).__name__}: {last_line}")
            logging.getLogger(__name__).debug("lane %s ended", name, exc_info=True)
            with self._lock:
                self._given_up[resources] += 1
        finally:
            with suppress(ray.exceptions.RayError):
                if ray.is_initialized():
                    ray.get(self._broker.lane_ended.remote(name))
            with self._lock:
                del self._running[threading.current_thread()]
            self._changed.set()

    def _trainer(self, name: str, generation: int, resources: Resources) -> TorchTrainer:
        per_worker = {"CPU": float(resources.cpus_per_worker)}
        if resources.gpus_per_worker:
            per_worker["GPU"] = resources.gpus_per_worker
        settings = LaneSettings(
            name,
            self._broker,
            resources,
            self._checkpoints,
            Path.cwd(),
            self._report_every_s,
            self._most_trials,
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
