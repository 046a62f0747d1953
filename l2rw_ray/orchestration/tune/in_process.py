"""Run Ray Tune's trials inside the driver, whose events already say what Tune wants to know.

Tune starts an actor for each running trial. Ours would do nothing but relay what the broker says, at 130 MB
and some seconds of a core each, all on the driver's node. `RelayManager` takes the place of the manager of
those actors: a trial that Tune starts is an entry in a dictionary, and its results are the reports of
`TrialReports`. Schedulers and searchers do not see a difference.

Tune has no public way to replace its manager of actors. The parts of it that are used here are listed in
`tests/orchestration/tune/test_in_process.py`, which fails with them on another release of Ray.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.tune import Trainable
from ray.tune.execution import tune_controller

from l2rw_ray.orchestration.tune.trial_reports import RUNNING, STATUS, Report, TrialReports

TRIAL_ID = "trial_id"
"""Name in a Tune trial's configuration of the trial that was submitted to the broker."""
_OnResult = Callable[[TrackedActor, Report], None]


class BrokerTrial(Trainable):  # type: ignore[misc]  # its base is not typed
    """What Tune takes for the trainable. `RelayManager` runs the trials, so it is never constructed."""


class RelayManager:
    """Takes the place of Tune's `RayActorManager`; an "actor" here is a trial at the broker.

    Args:
        reports: Reports of the trials.
    """

    def __init__(self, reports: TrialReports) -> None:
        self._reports = reports
        self._ids = count()
        self._starting: dict[TrackedActor, str] = {}
        self._running: dict[TrackedActor, str] = {}
        self._results: dict[TrackedActor, _OnResult] = {}
        self._rounds: dict[TrackedActor, int] = {}
        self._stopping: list[TrackedActor] = []

    def add_actor(
        self,
        cls: object,
        kwargs: dict[str, Any],
        resource_request: object,
        *,
        on_start: Callable[[TrackedActor], None],
        on_stop: Callable[[TrackedActor], None],
        on_error: Callable[[TrackedActor, Exception], None],
    ) -> TrackedActor:
        """Start to follow the trial that `kwargs` names; it takes no resources."""
        actor = TrackedActor(next(self._ids), on_start=on_start, on_stop=on_stop, on_error=on_error)
        self._starting[actor] = kwargs["config"][TRIAL_ID]
        return actor

    def schedule_actor_task(
        self,
        tracked_actor: TrackedActor,
        method_name: str,
        args: tuple[object, ...] = (),
        kwargs: dict[str, Any] | None = None,
        on_result: _OnResult | None = None,
        on_error: object = None,
        _return_future: bool = False,
    ) -> None:
        """Ask for the trial's next report; there is nothing to do to stop one."""
        if method_name == "train":
            assert on_result is not None
            self._results[tracked_actor] = on_result
        else:
            assert method_name == "stop", f"trials at the broker cannot {method_name}"

    def next(self, timeout: float | None = None) -> bool:
        """Handle one event: a trial that starts or stops, or a report. Returns False after the time-out."""
        if self._starting:
            actor = next(iter(self._starting))
            self._running[actor] = self._starting.pop(actor)
            self._rounds[actor] = 0
            actor._on_start(actor)
            return True
        if self._stopping:
            actor = self._stopping.pop()
            if actor._on_stop:
                actor._on_stop(actor)
            return True
        return self._relay_next(timeout)

    def _relay_next(self, timeout: float | None) -> bool:
        asked = {self._running[actor]: actor for actor in self._results}
        found = self._reports.wait(asked, timeout)
        if found is None:
            return False
        trial_id, report = found
        actor = asked[trial_id]
        self._rounds[actor] += 1
        self._results.pop(actor)(actor, _tune_result(report, self._rounds[actor]))
        return True

    def remove_actor(
        self, tracked_actor: TrackedActor, kill: bool = False, stop_future: object = None
    ) -> bool:
        """Stop to follow a trial. Returns whether it was followed, so that its end will be reported."""
        self._results.pop(tracked_actor, None)
        self._rounds.pop(tracked_actor, None)
        self._starting.pop(tracked_actor, None)
        was_running = self._running.pop(tracked_actor, None) is not None
        if was_running:
            self._stopping.append(tracked_actor)
        return was_running

    def clear_actor_task_futures(self, tracked_actor: TrackedActor) -> None:
        """Stop to ask for a trial's next report."""
        self._results.pop(tracked_actor, None)

    def is_actor_started(self, tracked_actor: TrackedActor) -> bool:
        """Return whether a trial is followed."""
        return tracked_actor in self._running

    def is_actor_failed(self, tracked_actor: TrackedActor) -> bool:
        """Return False: what can fail is the trial, which then ends."""
        return False

    def get_live_actors_resources(self) -> dict[str, float]:
        """Return no resources."""
        return {}

    def cleanup(self) -> None:
        """Stop to follow all trials."""
        for trials in (self._starting, self._running, self._results, self._rounds):
            trials.clear()
        self._stopping.clear()

    @property
    def num_live_actors(self) -> int:
        """Number of trials that are followed."""
        return len(self._running)

    @property
    def num_pending_actors(self) -> int:
        """Number of trials that are about to be followed."""
        return len(self._starting)

    @property
    def num_total_actors(self) -> int:
        """Number of trials, those included that have stopped without Tune having been told."""
        return len(self._starting) + len(self._running) + len(self._stopping)

    @property
    def num_actor_tasks(self) -> int:
        """Number of trials whose next report is asked for."""
        return len(self._results)

    @property
    def _live_actors_to_ray_actors_resources(self) -> dict[TrackedActor, tuple[None, None]]:
        """Tune looks up a trial's actor here, and does without where there is none."""
        return dict.fromkeys(self._running, (None, None))


def _tune_result(report: Report, rounds: int) -> Report:
    """Return a report with what Tune's own trainables add."""
    return {**report, "training_iteration": rounds, "done": report[STATUS] != RUNNING}


@contextmanager
def trials_in_this_process(reports: TrialReports) -> Iterator[None]:
    """Let Tune run `BrokerTrial` in this process within the block."""

    def manager(resource_manager: object) -> RelayManager:
        return RelayManager(reports)

    original = tune_controller.RayActorManager
    tune_controller.RayActorManager = manager
    try:
        yield
    finally:
        tune_controller.RayActorManager = original
