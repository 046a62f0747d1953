"""WorkerGroupPool: long-lived Ray Train worker groups that train one trial after another."""

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
from ray.util import remove_placement_group

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.broker.failure_policy import Fault
from l2rw_ray.orchestration.broker.trial_queue import PendingTrials
from l2rw_ray.orchestration.workers.failure_callback import FailureCallback, classify_failure
from l2rw_ray.orchestration.workers.run_config import RunConfig
from l2rw_ray.orchestration.workers.scaling_policy import decide_scaling
from l2rw_ray.orchestration.workers.worker import WorkerGroupConfig, run_worker
from l2rw_ray.planning.placement import Nodes
from l2rw_ray.planning.strategies.interface import RemainingTrials

_MANY_TRIALS = 1000
_LOSSES_PER_TRIAL = 20
"""Of its workers that a worker group may have; how often one trial may be lost, the broker decides."""
_FAILED_STARTS = 2
"""Times a group may fail to come up before its worker group is given up."""
_UNUSED_CALLBACKS = ("DatasetsCallback", "PlacementGroupCleanerCallback")
_LOOK_AGAIN_S = 5.0
"""How long a new node may go unnoticed."""


class _WorkerGroupTrainer(TorchTrainer):  # type: ignore[misc]  # ray is not typed
    """A trainer without the helpers of Ray Train that a worker group has no use for.

    Each is a process, which takes seconds to start. `DatasetManager` serves data sets that are given to the
    trainer. `PlacementGroupCleaner` frees what a dead controller held, which `WorkerGroupPool` does itself;
    it is detached, and stays for ever where it does not notice in time that its driver was killed.
    """

    def _create_default_callbacks(self) -> list[Any]:
        callbacks: list[Any] = super()._create_default_callbacks()
        return [callback for callback in callbacks if type(callback).__name__ not in _UNUSED_CALLBACKS]


class WorkerGroupPool:
    """The worker groups of one run, each driven by a thread of this process.

    A further thread starts them where the cluster has room: at the beginning, when worker groups of another
    kind have left for want of trials, when one was lost, and when nodes have joined.

    Args:
        broker: Handle of the broker actor.
        settings: What all worker groups share.
        storage: Scratch folder for Ray Train.
        remaining: Trials that the broker will be given.
        nodes: Tells the resources of the nodes that there are.
        limit: The user's own limit of worker groups, if any.
    """

    def __init__(
        self,
        broker: Any,
        settings: RunConfig,
        storage: Path,
        *,
        remaining: RemainingTrials,
        nodes: Callable[[], Nodes],
        limit: int | None,
    ) -> None:
        self._broker, self._settings, self._storage = broker, settings, storage
        self._remaining, self._nodes, self._limit = remaining, nodes, limit
        self._max_losses = _LOSSES_PER_TRIAL * sum(left or _MANY_TRIALS for left in remaining.values())
        self._names, self._lock = count(), threading.Lock()
        self._running: dict[threading.Thread, Resources] = {}
        self._lost: Counter[Resources] = Counter()
        self._known_nodes: Nodes = ()
        self._changed, self._ending = threading.Event(), threading.Event()
        self._scaler = threading.Thread(target=self._scale_loop, name="worker groups", daemon=True)
        self.errors: list[str] = []

    def start(self) -> None:
        """Start the worker groups that there is room for; they come up in the background."""
        self._scale()
        self._scaler.start()

    def expect(self, remaining: RemainingTrials) -> None:
        """See `WorkerPool`."""
        self._remaining = remaining

    def number(self, resources: Resources) -> int:
        """See `WorkerPool`."""
        with self._lock:
            return list(self._running.values()).count(resources)

    def stop_scaling(self) -> None:
        """Start no more worker groups."""
        self._ending.set()
        self._changed.set()
        if self._scaler.is_alive():
            self._scaler.join()

    def join(self, timeout_s: float) -> None:
        """Wait until the worker groups that were sent home have gone, all together no longer than this."""
        deadline = monotonic() + timeout_s
        with self._lock:
            running = list(self._running)
        for thread in running:
            thread.join(max(deadline - monotonic(), 0.0))

    def _scale_loop(self) -> None:
        while not self._ending.is_set():
            self._changed.wait(_LOOK_AGAIN_S)
            self._changed.clear()
            try:
                self._scale()
            except ray.exceptions.ActorDiedError:
                return  # without its broker the run ends, and says so
            except ray.exceptions.RayError:
                logging.getLogger(__name__).debug("no answer about worker groups", exc_info=True)

    def _scale(self) -> None:
        """Start worker groups for pending trials; give up when no worker group can ever train them."""
        work, nodes = ray.get(self._broker.pending.remote()), self._nodes()
        for kind, number in self._remaining.items():
            known = work.get(kind, PendingTrials(0))
            left = None if number is None or known.left is None else known.left + number
            work[kind] = PendingTrials(left, known.leased)
        if nodes != self._known_nodes:
            self._known_nodes = nodes
            self._lost.clear()
        with self._lock:
            decision = decide_scaling(work, Counter(self._running.values()), self._lost, nodes, self._limit)
        if self._ending.is_set():
            return
        for kind, groups in decision.start.items():
            for _ in range(groups):
                self._start_one(kind)
        if decision.is_stuck:
            self._broker.give_up.remote()

    def _start_one(self, resources: Resources) -> None:
        name = f"worker group{next(self._names)}"
        thread = threading.Thread(target=self._drive, args=(name, resources), name=name, daemon=True)
        with self._lock:
            self._running[thread] = resources
        thread.start()

    def _drive(self, name: str, resources: Resources) -> None:
        fault: Fault | None = None
        try:
            for generation in count():
                self._trainer(name, generation, resources).fit()
                if not ray.get(self._broker.has_pending.remote(resources)):
                    break
        except (
            Exception
        ) as error:  # whatever ended the worker group, its trial and the proxies must hear of it
            last_line = (str(error).strip().splitlines() or [""])[-1]
            self.errors.append(f"{name}: {type(error).__name__}: {last_line}")
            logging.getLogger(__name__).debug("worker group %s ended", name, exc_info=True)
            fault = classify_failure([error])
        finally:
            with suppress(ray.exceptions.RayError):
                if ray.is_initialized():
                    if fault is not None:
                        ray.get(self._broker.note_loss.remote(name, fault))
                    place = ray.get(self._broker.group_ended.remote(name))
                    if fault is not None and place is not None:
                        remove_placement_group(place)
            with self._lock:
                del self._running[threading.current_thread()]
                self._lost[resources] += fault is not None
            self._changed.set()

    def _trainer(self, name: str, generation: int, resources: Resources) -> "_WorkerGroupTrainer":
        per_worker = {"CPU": float(resources.cpus_per_worker)}
        if resources.gpus_per_worker:
            per_worker["GPU"] = resources.gpus_per_worker
        settings = WorkerGroupConfig(name, self._broker, resources, self._settings)
        return _WorkerGroupTrainer(
            run_worker,
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
                    max_failures=self._max_losses, controller_failure_limit=_FAILED_STARTS
                ),
                logging_config=ray.train.LoggingConfig(log_level="ERROR"),
                callbacks=[FailureCallback(self._broker, name)],
            ),
        )
