"""Start, replace and stop the worker groups of a run."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from queue import Empty, SimpleQueue
from time import monotonic

import ray

from l2rw_ray.config import Resources
from l2rw_ray.errors import InfrastructureError
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.orchestration.broker.trial_queue import PendingTrials
from l2rw_ray.orchestration.cluster.membership import Membership
from l2rw_ray.orchestration.sharing.cluster_sharing import ClusterSharing
from l2rw_ray.orchestration.workers.failures import classify_failure, describe_failure
from l2rw_ray.orchestration.workers.group import WorkerAnswer, WorkerGroup
from l2rw_ray.orchestration.workers.head_memory import HeadMemory
from l2rw_ray.orchestration.workers.run_config import RunConfig, WorkerGroupConfig
from l2rw_ray.orchestration.workers.scaling_policy import (
    MAX_FAILED_STARTS,
    ScalingDecision,
    decide_scaling,
    worthwhile_groups,
)
from l2rw_ray.orchestration.workers.trial_durations import TrialDurations
from l2rw_ray.planning.placement import allocate
from l2rw_ray.planning.strategies.interface import RemainingTrials

_SCALE_EVERY_S = 1.0
"""Maximum time until more work or a new node is noticed."""
_GROUP_START_S = 5.0
"""Assumed start of a worker group before the first one has been measured."""
_LATE_S = 10.0
"""How long the processes of a worker group may take before the pool looks whether there is room for them."""
_START_TIMEOUT_S = 120.0
"""How long the processes of a worker group may take to come up once the cluster has room for them."""
_WAKE = None


class WorkerGroupPool:
    """The worker groups of one run, all looked after by one thread of the driver.

    It starts one group per kind of resources, and more as the measured duration of trials shows that they
    pay; replaces groups that were lost or have to be recycled; and takes note of nodes that join and leave.

    Attributes:
        errors: Why worker groups could not start, one for each that could not.

    Args:
        broker: Source of the trials.
        settings: Settings shared by all worker groups.
        durations: Measures the run's trials.
        membership: Nodes of the cluster.
        remaining: Trials that will be submitted to the broker.
        limit: Maximum number of worker groups; None for as many as fit.
        patience_s: How long a run without any worker group waits for nodes.
        notify: Receives lines for the user.
        on_stuck: Called if no worker group will ever train the trials that wait.
        sharing: Keeps the run within its share of a cluster; None where it has one of its own.
        make_group: Makes a worker group from its settings and a receiver of its workers' answers.
    """

    def __init__(
        self,
        broker: BrokerClient,
        settings: RunConfig,
        durations: TrialDurations,
        membership: Membership,
        *,
        remaining: RemainingTrials,
        limit: int | None,
        patience_s: float,
        notify: Callable[[str], object],
        on_stuck: Callable[[], object],
        sharing: ClusterSharing | None = None,
        make_group: Callable[..., WorkerGroup] = WorkerGroup,
    ) -> None:
        self._broker, self._settings, self._durations = broker, settings, durations
        self._membership, self._memory = membership, HeadMemory()
        self._remaining, self._limit, self._patience_s = remaining, limit, patience_s
        self._notify, self._on_stuck, self._make_group = notify, on_stuck, make_group
        self._sharing, self._released = sharing, 0
        self._names = count()
        self._groups: dict[str, WorkerGroup] = {}
        self._failed: Counter[Resources] = Counter()
        self._said: set[str] = set()
        self._stuck_since: float | None = None
        self._began = monotonic()
        self._start_s: float | None = None
        self._answers: SimpleQueue[WorkerAnswer | None] = SimpleQueue()
        self._ending = threading.Event()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._run, name="worker groups", daemon=True)
        self.errors: list[str] = []

    def start(self) -> None:
        """Start the first worker groups in the background."""
        self._thread.start()

    def expect(self, remaining: RemainingTrials) -> None:
        """Update the number of trials that will still be submitted to the broker, by resources."""
        self._remaining = remaining

    def number(self, resources: Resources) -> int:
        """Return the number of worker groups for these resources, including those that are starting."""
        return sum(group.resources == resources for group in list(self._groups.values()))

    def stop_scaling(self) -> None:
        """Stop starting worker groups."""
        self._ending.set()
        self._answers.put(_WAKE)

    def join(self, timeout_s: float) -> None:
        """Wait until all worker groups have left, and end those that have not after `timeout_s`.

        The thread must be over before Ray is shut down: a call of Ray after that ends the process or starts
        another Ray. So it is waited for even if the user interrupts, when it ends all groups at once.
        """
        try:
            self._join(timeout_s)
        except KeyboardInterrupt:
            self._join(0.0)
            raise

    def _join(self, timeout_s: float) -> None:
        self._deadline = monotonic() + timeout_s
        self._answers.put(_WAKE)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._attempt(lambda: self._scale({}))  # at once, while the broker's process starts
            while self._groups or not self._ending.is_set():
                self._receive()
                if monotonic() >= self._deadline:
                    return
                self._attempt(self._round)
        except ray.exceptions.ActorDiedError:
            logging.getLogger(__name__).debug("the broker was lost", exc_info=True)
        finally:
            for group in self._groups.values():
                group.stop()
            if not self._ending.is_set():  # nobody looks after trials any more
                self._on_stuck()

    def _attempt(self, step: Callable[[], object]) -> None:
        """Take a step, which a busy head node may make fail; the next one may do better."""
        try:
            step()
        except ray.exceptions.ActorDiedError:
            raise
        except ray.exceptions.RayError:
            logging.getLogger(__name__).debug("could not look after worker groups", exc_info=True)

    def _receive(self) -> None:
        """Wait for answers of workers and hand them to their groups."""
        left_s = min(_SCALE_EVERY_S, max(self._deadline - monotonic(), 0.0))
        try:
            answer = self._answers.get(timeout=left_s)
            while True:
                if answer is not None and answer.group in self._groups:
                    self._groups[answer.group].receive(answer)
                answer = self._answers.get_nowait()
        except Empty:
            pass

    def _round(self) -> None:
        """End what has ended and start what is missing."""
        for group in list(self._groups.values()):
            if group.has_ended:
                self._end(group)
            elif not group.is_placed and monotonic() - group.requested_at >= _LATE_S:
                self._look_at_late(group)
        if not self._ending.is_set():
            self._look_at_nodes()
            self._scale(self._broker.pending())

    def _end(self, group: WorkerGroup) -> None:
        """Stop a worker group and return its trial, if it had one, to the queue."""
        group.stop()
        fault = classify_failure(group.errors) if group.errors else None
        ended = self._broker.group_ended(group.name, fault)
        del self._groups[group.name]
        if ended.held_trial:
            self._membership.note_loss(group.nodes)
        if ended.has_joined:
            del self._failed[group.resources]
        elif group.errors:
            self._record_failed_start(group)

    def _record_failed_start(self, group: WorkerGroup) -> None:
        """Count a group that could not start; the first one is reported at once."""
        self._failed[group.resources] += 1
        error = group.errors[0]
        line = f"{group.name} could not start: {describe_failure(error)}"
        self.errors.append(f"no worker group could start: {describe_failure(error)}")
        log = self._settings.logs / f"{group.name}.log"
        try:
            log.write_text(f"{error}\n")
            line += f"; log {log}"
        except OSError:  # a full disk, which the trials will report
            pass
        if self._failed[group.resources] == 1:
            self._notify(f"worker   {line}")

    def _look_at_nodes(self) -> None:
        """Take note of nodes that joined or left; groups on a lost node are over."""
        changes = self._membership.update()
        if changes.any:
            self._failed.clear()
        for node in changes.lost:
            hit = [group for group in self._groups.values() if node.node_id in group.nodes]
            for group in hit:
                group.errors.append(ray.exceptions.NodeDiedError(f"node {node.name} was lost"))
                self._end(group)
            trials = self._membership.take_losses(node.node_id)
            self._notify(f"node     {node.name} lost: {_trials_go_on(trials)}")

    def _scale(self, submitted: Mapping[Resources, PendingTrials]) -> None:
        """Start worker groups for pending trials; give up when none can ever train them.

        Args:
            submitted: Trials that the broker has, by resources.
        """
        self._drop_groups_without_place()
        self._time_first_start(submitted)
        decision = self._decide(dict(submitted))
        for resources, groups in self._share(decision.start, submitted).items():
            for _ in range(groups):
                self._start_one(resources)
        if decision.held_back:
            self._say_once(f"memory   {self._memory.reason(len(self._groups))}")
        self._consider_giving_up(decision)

    def _time_first_start(self, submitted: Mapping[Resources, PendingTrials]) -> None:
        """Measure how long the first worker group takes to start.

        It is measured from when the cluster had room for it until it asked for a trial or was given one.
        Waiting for other jobs, or for trials while the study is checked, is not part of it.
        """
        if self._start_s is not None:
            return
        if self._durations.first_started_at is not None:
            self._start_s = self._durations.first_started_at - self._began
        elif any(trials.idle for trials in submitted.values()):
            self._start_s = monotonic() - self._began
        else:
            since = (group.awaited_since for group in self._groups.values())
            self._began = min(since, default=monotonic())

    def _share(
        self, wanted: Mapping[Resources, int], submitted: Mapping[Resources, PendingTrials]
    ) -> Mapping[Resources, int]:
        """Consider other studies and jobs of the cluster. Returns the worker groups to ask for."""
        if self._sharing is None:
            return wanted
        is_training = any(trials.running for trials in submitted.values())
        decision = self._sharing.decide(
            wanted, set(self._groups), is_training=is_training, to_come=self._membership.to_come
        )
        for name in decision.waiting & set(self._groups):
            self._groups[name].note_waiting()
        for group in [self._groups[name] for name in decision.withdraw & set(self._groups)]:
            if not group.is_placed:
                self._end(group)
        if decision.leaving or self._released:
            self._broker.release(decision.leave, decision.leaving)
            self._released = decision.leaving
        for line in decision.lines:
            self._say_once(line)
        return decision.start

    def _decide(self, pending: dict[Resources, PendingTrials]) -> ScalingDecision:
        for resources, number in self._remaining.items():
            known = pending.get(resources, PendingTrials(0))
            waiting = None if number is None or known.waiting is None else known.waiting + number
            pending[resources] = PendingTrials(waiting, known.running)
        trial_s = self._durations.estimate_s()
        start_s = _GROUP_START_S if self._start_s is None else self._start_s
        worthwhile = {
            resources: worthwhile_groups(
                None if trials.waiting is None else trials.waiting + trials.running, trial_s, start_s
            )
            for resources, trials in pending.items()
        }
        return decide_scaling(
            pending,
            Counter(group.resources for group in self._groups.values()),
            self._failed,
            self._membership.nodes,
            self._limit,
            worthwhile=worthwhile,
            memory_for=self._memory.further_groups(
                self._groups.values(), are_here=self._membership.is_one_node
            ),
        )

    def _start_one(self, resources: Resources) -> None:
        settings = WorkerGroupConfig(f"group{next(self._names)}", self._broker, resources, self._settings)
        group = self._make_group(settings, self._answers.put)
        self._groups[group.name] = group
        group.start(self._sharing.placement_name(group.name) if self._sharing else "")

    def _drop_groups_without_place(self) -> None:
        """Withdraw requests for groups that no longer fit the cluster, because it has lost nodes."""
        running = Counter(group.resources for group in self._groups.values())
        for group in [group for group in self._groups.values() if not group.is_placed]:
            fitting = allocate({group.resources: None}, {}, self._membership.nodes)[group.resources]
            if fitting < running[group.resources]:
                running[group.resources] -= 1
                self._end(group)

    def _look_at_late(self, group: WorkerGroup) -> None:
        """End a group whose processes do not come up although there is room for them."""
        if not group.has_room:
            group.note_waiting()
        elif monotonic() - group.awaited_since >= _START_TIMEOUT_S:
            group.errors.append(InfrastructureError(f"no process within {_START_TIMEOUT_S:g} s"))
            self._end(group)

    def _consider_giving_up(self, decision: ScalingDecision) -> None:
        if not decision.is_stuck:
            self._stuck_since = None
            return
        if self._stuck_since is None:
            self._stuck_since = monotonic()
        is_hopeless = any(number >= MAX_FAILED_STARTS for number in self._failed.values())
        if is_hopeless or monotonic() - self._stuck_since >= self._patience_s:
            self._on_stuck()
        else:
            self._say_once(f"waiting  for nodes: no node has room for a worker; up to {self._patience_s:g} s")

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._notify(line)


def _trials_go_on(trials: int) -> str:
    if not trials:
        return "no trial was on it"
    return f"{trials} trial{'s go' if trials > 1 else ' goes'} on elsewhere"
