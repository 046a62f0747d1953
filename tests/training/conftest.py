"""Training the small study's trials in this process."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from l2rw_ray.config import PlannedTrial, parse_study
from l2rw_ray.config.overrides import assign
from l2rw_ray.config.run_options import CheckpointPolicy
from l2rw_ray.config.study import StudySpec
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.events import Event, Verdict
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.training import CheckpointStore, TrainingOptions, train_trial

MakeTrial = Callable[..., PlannedTrial]


@pytest.fixture
def make_trial(study_tree: dict) -> MakeTrial:
    """The small study's l2rw trial at seed 0, with some fields changed."""

    def make(**changes: Any) -> PlannedTrial:
        tree = assign(study_tree, "design.factors", {"method.name": ["l2rw"]}, StudySpec)
        tree = assign(tree, "trial.measurement", {"probe_rounds": 0}, StudySpec)
        for path, value in changes.items():
            tree = assign(tree, "trial." + path.replace("__", "."), value, StudySpec)
        tree["design"]["factors"] = {"method.name": [tree["trial"]["method"]["name"]]}
        return plan_study(parse_study(tree))[0]

    return make


def train(
    trial: PlannedTrial,
    *,
    checkpoints: Path | None = None,
    stop_after: int | None = None,
    policy: CheckpointPolicy = CheckpointPolicy(),  # noqa: B008  # frozen
) -> Sequence[Event]:
    """Every event of a trial; told to stop after some epochs if asked to."""
    events: list[Event] = []

    def emit(event: Event) -> Verdict:
        events.append(event)
        stop = stop_after is not None and getattr(event, "epoch", 0) >= stop_after
        return Verdict.STOP if stop else Verdict.CONTINUE

    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    store = CheckpointStore(checkpoints, trial.trial_id, policy) if checkpoints else None
    train_trial(trial, splits, emit, TrainingOptions(checkpoints=store))
    return events


def results(events: Sequence[Event]) -> list[Any]:
    """What the events say, but for times, memory, what else the probe tells, and checks of scores."""
    left_out = ("_s", "_bytes", "_ratio", "parameters", "certificate_error", "certificates")
    return [
        (
            type(event).__name__,
            getattr(event, "epoch", None),
            {name: value for name, value in event.metrics.items() if not name.endswith(left_out)},
        )
        for event in events
        if hasattr(event, "metrics")
    ]
