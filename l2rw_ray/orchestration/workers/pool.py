"""Start, replace and stop the long-lived Ray Train worker groups of a run."""

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
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.orchestration.broker.failure_policy import Fault
from l2rw_ray.orchestration.broker.trial_queue import PendingTrials
from l2rw_ray.orchestration.workers.failure_callback import FailureCallback, classify_failure
from l2rw_ray.orchestration.workers.run_config import RunConfig
from l2rw_ray.orchestration.workers.scaling_policy import decide_scaling
from l2rw_ray.orchestration.workers.worker import WorkerGroupConfig, run_worker
from l2rw_ray.planning.placement import Nodes
from l2rw_ray.planning.strategies.interface import RemainingTrials

_MANY_TRIALS = 1000
"""Assumed number of trials of a strategy without a bound."""
_MAX_LOSSES_PER_TRIAL = 20
"""Restarts of a worker group per trial of the run; the broker decides how often one trial is retried."""
_MAX_FAILED_STARTS = 2
"""Failed starts after which a worker group is given up."""
_UNUSED_CALLBACKS = ("DatasetsCallback", "PlacementGroupCleanerCallback")
_SCALE_EVERY_S = 5.0
"""Maximum time until a new node is noticed."""


class _WorkerGroupTrainer(TorchTrainer):  # type: ignore[misc]  # ray is not typed
    """A trainer without the helper processes of Ray Train that a worker group does not need.

    Each of them takes seconds to start. `DatasetManager` serves data sets that are passed to the trainer.
    `PlacementGroupCleaner` frees the resources of a dead controller, which `WorkerGroupPool` does itself; it
    is detached and never exits if it misses that its driver was killed.
    """

    def _create_default_callbacks(self) -> list[Any]:
        callbacks: list[Any] = super()._create_default_callbacks()
        return [callback for callback in callbacks if type(callback).__name__ not in _UNUSED_CALLBACKS]


class WorkerGroupPool:
    """The worker groups of one run, each driven by a thread of this process.

    One more thread starts them when the cluster has room: at the beginning, when worker groups for other
    resources have exited because their trials are done, when one was lost, and when nodes have joined.

    Attributes:
        errors: Why worker groups failed, a line each.

    Args:
        broker: Source of the trials.
        settings: Settings shared by all worker groups.
        storage: Scratch folder for Ray Train.
        remaining: Trials that will be submitted to the broker.
        nodes: Returns the resources of the cluster's nodes.
        limit: Maximum number of worker groups; None for as many as fit.
    """

    def __init__(
        self,
        broker: BrokerClient,
        settings: RunConfig,
        storage: Path,
        *,
        remaining: RemainingTrials,
        nodes: Callable[[], Nodes],
        limit: int | None,
    ) -> None:
        self._broker, self._settings, self._storage = broker, settings, storage
        self._remaining, self._nodes, self._limit = remaining, nodes, limit
        self._max_losses = _MAX_LOSSES_PER_TRIAL * sum(left or _MANY_TRIALS for left in remaining.values())
        self._names, self._lock = count(), threading.Lock()
        self._running: dict[threading.Thread, Resources] = {}
        self._failed: Counter[Resources] = Counter()
        self._known_nodes: Nodes = ()
        self._changed, self._ending = threading.Event(), threading.Event()
        self._scaler = threading.Thread(target=self._scale_loop, name="worker groups", daemon=True)
        self.errors: list[str] = []

    def start(self) -> None:
        """Start as many worker groups as fit; they come up in the background."""
        self._scale()
        self._scaler.start()

    def expect(self, remaining: RemainingTrials) -> None:
        """Update the number of trials that will still be submitted to the broker, by resources."""
        self._remaining = remaining

    def number(self, resources: Resources) -> int:
        """Return the number of worker groups for these resources, including those that are starting."""
        with self._lock:
            return list(self._running.values()).count(resources)

    def stop_scaling(self) -> None:
        """Stop starting worker groups."""
        self._ending.set()
        self._changed.set()
        if self._scaler.is_alive():
            self._scaler.join()

    def join(self, timeout_s: float) -> None:
        """Wait until all worker groups have exited, at most `timeout_s` in total."""
        deadline = monotonic() + timeout_s
        with self._lock:
            running = list(self._running)
        for thread in running:
            thread.join(max(deadline - monotonic(), 0.0))

    def _scale_loop(self) -> None:
        while not self._ending.is_set():
            self._changed.wait(_SCALE_EVERY_S)
            self._changed.clear()
            try:
                self._scale()
            except ray.exceptions.ActorDiedError:
                return  # without its broker the run ends and reports it
            except ray.exceptions.RayError:
                logging.getLogger(__name__).debug("could not scale worker groups", exc_info=True)

    def _scale(self) -> None:
        """Start worker groups for pending trials; give up when no worker group can ever train them."""
        pending, nodes = self._broker.pending(), self._nodes()
        for resources, number in self._remaining.items():
            known = pending.get(resources, PendingTrials(0))
            waiting = None if number is None or known.waiting is None else known.waiting + number
            pending[resources] = PendingTrials(waiting, known.running)
        if nodes != self._known_nodes:
            self._known_nodes = nodes
            self._failed.clear()
        with self._lock:
            running = Counter(self._running.values())
            decision = decide_scaling(pending, running, self._failed, nodes, self._limit)
        if self._ending.is_set():
            return
        for resources, groups in decision.start.items():
            for _ in range(groups):
                self._start_one(resources)
        if decision.is_stuck:
            self._broker.give_up()

    def _start_one(self, resources: Resources) -> None:
        name = f"group{next(self._names)}"
        thread = threading.Thread(target=self._drive, args=(name, resources), name=name, daemon=True)
        with self._lock:
            self._running[thread] = resources
        thread.start()

    def _drive(self, name: str, resources: Resources) -> None:
        """Run a worker group, with new workers each time it recycles, until no trial needs it."""
        fault: Fault | None = None
        try:
            for generation in count():
                self._trainer(name, generation, resources).fit()
                if not self._broker.has_pending(resources):
                    break
        except Exception as error:  # whatever ended the worker group, the broker must know
            last_line = (str(error).strip().splitlines() or [""])[-1]
            self.errors.append(f"{name}: {type(error).__name__}: {last_line}")
            logging.getLogger(__name__).debug("worker group %s ended", name, exc_info=True)
            fault = classify_failure([error])
        finally:
            with suppress(ray.exceptions.RayError):
                if ray.is_initialized():
                    if fault is not None:
                        self._broker.note_loss(name, fault)
                    placement = self._broker.group_ended(name)
                    if fault is not None and placement is not None:
                        remove_placement_group(placement)
            with self._lock:
                del self._running[threading.current_thread()]
                self._failed[resources] += fault is not None
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
                    max_failures=self._max_losses, controller_failure_limit=_MAX_FAILED_STARTS
                ),
                logging_config=ray.train.LoggingConfig(log_level="ERROR"),
                callbacks=[FailureCallback(self._broker, name)],
            ),
        )
