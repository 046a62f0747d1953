"""The actors of one worker group, from their start to the end of the last of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, ClassVar

import ray
from ray.util import placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.sharing.claims import bundles_of
from l2rw_ray.orchestration.workers.actor import TrainWorker
from l2rw_ray.orchestration.workers.rendezvous import WorkerPlace, rank_order, torchrun_variables
from l2rw_ray.orchestration.workers.run_config import WorkerGroupConfig

_GATHER_S = 3.0
"""How long other workers may take to fail after the first one: its error may only follow from theirs."""


@dataclass(frozen=True)
class WorkerAnswer:
    """What a worker returned, or why it did not.

    Attributes:
        group: Name of its worker group.
        worker: Its number within the group, which need not be its rank.
        value: What it returned: its place, or None after training.
        error: The exception of its task, or Ray's about its process; None if it returned.
    """

    group: str
    worker: int
    value: WorkerPlace | None = None
    error: BaseException | None = None


class WorkerGroup:
    """W actors in one placement group, which first say where they are and then train together.

    Not for several threads: its owner passes it the answers of its workers.

    Attributes:
        actor: Class of its workers.
        errors: Why workers failed.
        requested_at: When it was started, by a monotonic clock.
        awaited_since: Since when its processes could come up: when it was last seen without room, if ever.

    Args:
        settings: Settings of the workers.
        answered: Called with each answer of a worker, in a thread of Ray.
    """

    actor: ClassVar[type[TrainWorker]] = TrainWorker

    def __init__(self, settings: WorkerGroupConfig, answered: Callable[[WorkerAnswer], object]) -> None:
        self._settings, self._answered = settings, answered
        self._actors: list[Any] = []
        self._placement: Any = None
        self._places: dict[int, WorkerPlace] = {}
        self._ended: set[int] = set()
        self._failed_at = 0.0
        self.errors: list[BaseException] = []
        self.requested_at = self.awaited_since = monotonic()

    @property
    def name(self) -> str:
        """Name of the worker group."""
        return self._settings.name

    @property
    def resources(self) -> Resources:
        """Resources of each worker, and the number of workers."""
        return self._settings.resources

    @property
    def is_placed(self) -> bool:
        """Whether every worker has a process."""
        return len(self._places) == self.resources.workers

    @property
    def nodes(self) -> frozenset[str]:
        """Nodes that its workers run on, by Ray's identifiers."""
        return frozenset(place.node_id for place in self._places.values())

    @property
    def has_room(self) -> bool:
        """Whether the cluster has set its resources aside."""
        return bool(placement_group_table(self._placement)["state"] == "CREATED")

    def start(self, placement_name: str = "") -> None:
        """Request the actors; they answer once the cluster has room for all of them.

        Args:
            placement_name: Name of the placement group, by which other jobs of the cluster know it.
        """
        bundles = [dict(bundle) for bundle in bundles_of(self.resources)]
        bundle = bundles[0]
        self._placement = placement_group(bundles, strategy="PACK", name=placement_name)
        worker = ray.remote(num_cpus=bundle["CPU"], num_gpus=bundle.get("GPU", 0), max_restarts=0)(self.actor)
        for number in range(self.resources.workers):
            place = PlacementGroupSchedulingStrategy(self._placement, placement_group_bundle_index=number)
            self._actors.append(worker.options(scheduling_strategy=place).remote())
            self._watch(number, self._actors[-1].place.remote())

    def note_waiting(self) -> None:
        """Note that the cluster has no room for it at the moment, which is not its own delay."""
        self.awaited_since = monotonic()

    def receive(self, answer: WorkerAnswer) -> None:
        """Take an answer of a worker; once all have a place, they start to train."""
        if answer.error is not None:
            self._failed_at = self._failed_at or monotonic()
            self.errors.append(answer.error)
            self._ended.add(answer.worker)
        elif answer.value is not None:
            self._places[answer.worker] = answer.value
            if self.is_placed:
                self._train()
        else:
            self._ended.add(answer.worker)

    @property
    def has_ended(self) -> bool:
        """Whether all workers have ended, or one has failed and the others had time to say why."""
        is_late = bool(self.errors) and monotonic() - self._failed_at >= _GATHER_S
        return is_late or len(self._ended) == self.resources.workers

    def stop(self) -> None:
        """End all processes and free what they took."""
        for actor in self._actors:
            ray.kill(actor)
        if self._placement is not None:
            remove_placement_group(self._placement)

    def _train(self) -> None:
        order = rank_order([self._places[number] for number in range(len(self._actors))])
        places: Sequence[WorkerPlace] = [self._places[number] for number in order]
        for number, variables in zip(order, torchrun_variables(places), strict=True):
            self._watch(number, self._actors[number].train.remote(self._settings, variables))

    def _watch(self, number: int, answer: Any) -> None:
        def done(future: Any) -> None:
            error = future.exception()
            value = None if error is not None else future.result()
            self._answered(WorkerAnswer(self.name, number, value, error))

        answer.future().add_done_callback(done)
