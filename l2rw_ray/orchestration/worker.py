"""What each worker of a lane does: lease a trial, train it with the others, report, lease the next."""

import os
import traceback
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import ray
import ray.train
import ray.train.torch

from l2rw_ray.config import Keep, Resources
from l2rw_ray.config.checkpoints import CheckpointPolicy
from l2rw_ray.config.data import Data
from l2rw_ray.data import Source, load_source, make_splits
from l2rw_ray.errors import InfrastructureError
from l2rw_ray.events import Event, Verdict
from l2rw_ray.measurement import keep_freed_memory
from l2rw_ray.orchestration.custom_code import refuse_other_code
from l2rw_ray.orchestration.image_stream import read_through_ray_data
from l2rw_ray.orchestration.lease_book import LaneOrder, Lease
from l2rw_ray.orchestration.reporting import Reports
from l2rw_ray.training import CheckpointStore, Keepsakes, Ranks, is_lost_peer, train_trial

_MOST_GROWTH_BYTES = 2 * 2**30
"""Memory that workers may gain after their first trial."""
_LEASE_WAIT_S = 20.0
"""Well below the process group's time-out: idle ranks meet at least this often."""


@dataclass(frozen=True)
class LaneSettings:
    """What a lane's workers are started with.

    Attributes:
        name: The lane's name at the broker.
        broker: Handle of the broker actor.
        resources: What each worker takes.
        checkpoints: The study's checkpoint folder.
        checkpoint_policy: When trials are saved there.
        models: The study's folder of trained models.
        keep: What is kept of each trial besides its figures.
        working_directory: Where relative paths of a study start: the driver's own folder.
        report_every_s: Shortest time from one report of epochs to the next.
        most_trials: Trials after which the workers leave, for others to take their place.
    """

    name: str
    broker: Any
    resources: Resources
    checkpoints: Path
    checkpoint_policy: CheckpointPolicy
    models: Path
    keep: Keep
    working_directory: Path
    report_every_s: float
    most_trials: int


def work_lane(config: dict[str, LaneSettings]) -> None:
    """Train trials until the broker sends the lane home; the loop of every worker of a lane.

    Workers leave earlier when they are worn: after many trials, or when their memory has grown.

    Args:
        config: `{"settings": …}`, the form Ray Train passes configuration in.
    """
    settings = config["settings"]
    keep_freed_memory()
    if settings.working_directory.is_dir():  # on another node it may not be there
        os.chdir(settings.working_directory)
    context = ray.train.get_context()
    ranks = Ranks(context.get_world_rank(), context.get_world_size())
    group, trained, first_bytes = uuid4().hex, 0, 0
    while True:
        order = ranks.broadcast(_ask(settings, group) if ranks.leads else None)
        if order is LaneOrder.LEAVE:
            return
        if isinstance(order, Lease):
            _train(order, settings, ranks)
            trained += 1
            memory = psutil.Process().memory_info()
            used_bytes = memory.rss - getattr(memory, "shared", 0)  # mapped files are not its own
            first_bytes = first_bytes or used_bytes  # with all that is loaded once
            if (
                trained >= settings.most_trials
                or ranks.maximum(used_bytes - first_bytes) > _MOST_GROWTH_BYTES
            ):
                return


def _ask(settings: LaneSettings, group: str) -> Lease | LaneOrder:
    leased = settings.broker.lease.remote(settings.name, group, settings.resources, _LEASE_WAIT_S)
    order: Lease | LaneOrder = ray.get(leased)
    return order


def _train(lease: Lease, settings: LaneSettings, ranks: Ranks) -> None:
    """Train one trial; its own exception is recorded and ends it, not the lane.

    Raises:
        InfrastructureError: Another rank was lost, or has not left the trial: the group must start
            anew, and the broker then decides whether the trial is tried again.
    """
    trial = lease.trial

    def tell(events: list[Event]) -> Verdict:
        verdict: Verdict = ray.get(settings.broker.report.remote(events, lease.attempt))
        return verdict

    reports = Reports(tell, settings.report_every_s)
    try:
        refuse_other_code(trial)
        splits = make_splits(_source(trial.config.data.source_only()), trial.config.data, trial.seed)
        train_trial(
            trial,
            splits,
            reports,
            ranks=ranks,
            device=ray.train.torch.get_device(),
            checkpoints=CheckpointStore(settings.checkpoints, trial.trial_id, settings.checkpoint_policy),
            attempt=lease.attempt,
            read_parts=read_through_ray_data,
            keep=Keepsakes(
                model_file=settings.models / f"{trial.trial_id}.pt" if settings.keep.models else None,
                system_metrics=settings.keep.system_metrics,
            ),
        )
    except Exception as error:  # the trial boundary
        if ranks.world_size > 1 and is_lost_peer(error):
            raise InfrastructureError(f"rank {ranks.rank} lost another rank: {error}") from error
        reports.flush()
        message = f"{type(error).__name__}: {error}"
        failure = settings.broker.fail.remote(
            trial.trial_id, lease.attempt, ranks.rank, message, traceback.format_exc()
        )
        if not ray.get(failure):
            raise InfrastructureError(
                "some ranks are still inside a failed trial: start the lane anew"
            ) from error


@lru_cache(maxsize=2)
def _source(config: Data) -> Source:
    """The decoded source, kept from one trial to the next where it is the same."""
    return load_source(config)
