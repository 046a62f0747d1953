"""The loop of each worker in a worker group: lease a trial, train it with the others, report."""

import os
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import uuid4

import ray
import ray.train
import ray.train.torch
from ray.util import get_current_placement_group

from l2rw_ray.config import Resources
from l2rw_ray.config.data.sources import Data
from l2rw_ray.data import Source, load_source, make_splits
from l2rw_ray.errors import InfrastructureError, OutOfReachError
from l2rw_ray.events import Event, Verdict
from l2rw_ray.measurement import keep_freed_memory
from l2rw_ray.orchestration.broker.failure_policy import INFRASTRUCTURE, Fault
from l2rw_ray.orchestration.broker.trial_queue import Lease, WorkerGroupCommand
from l2rw_ray.orchestration.custom_code import check_same_code
from l2rw_ray.orchestration.workers.event_buffer import EventBuffer
from l2rw_ray.orchestration.workers.image_stream import read_through_ray_data
from l2rw_ray.orchestration.workers.limits import enforce_limits
from l2rw_ray.orchestration.workers.recycling import RecyclePolicy
from l2rw_ray.orchestration.workers.run_config import RunConfig
from l2rw_ray.orchestration.workers.trial_log import TrialLog, logged
from l2rw_ray.orchestration.workers.uploads import checkpoint_files, uploading_model
from l2rw_ray.results.trial_logs import log_file, stacks_file
from l2rw_ray.retries import retry_transient
from l2rw_ray.training import Artifacts, CheckpointStore, Ranks, is_lost_peer, train_trial

_LEASE_WAIT_S = 20.0
"""Well below the process group's time-out: idle ranks meet at least this often."""


@dataclass(frozen=True)
class WorkerGroupConfig:
    """What a worker group's workers are started with.

    Attributes:
        name: The worker group's name at the broker.
        broker: Handle of the broker actor.
        resources: What each worker takes.
        run: What all worker groups of the run share.
    """

    name: str
    broker: Any
    resources: Resources
    run: RunConfig


def run_worker(config: dict[str, WorkerGroupConfig]) -> None:
    """Train trials until the broker sends the worker group home; the loop of every worker of a worker group.

    Workers leave earlier when they are worn, see `RecyclePolicy`.

    Args:
        config: `{"settings": …}`, the form Ray Train passes configuration in.
    """
    settings = config["settings"]
    keep_freed_memory()
    if settings.run.working_directory.is_dir():  # on another node it may not be there
        os.chdir(settings.run.working_directory)
    context = ray.train.get_context()
    ranks = Ranks(context.get_world_rank(), context.get_world_size())
    if ranks.leads:
        ray.get(settings.broker.register_placement.remote(settings.name, get_current_placement_group()))
    incarnation, recycling = (
        uuid4().hex,
        RecyclePolicy(settings.run.trials_per_worker_group, settings.run.limits, _source.cache_clear),
    )
    while True:
        order = ranks.broadcast(_ask(settings, incarnation) if ranks.leads else None)
        if order is WorkerGroupCommand.LEAVE:
            return
        if isinstance(order, Lease):
            _train(order, settings, ranks)
            if recycling.should_recycle(ranks):
                return


def _ask(settings: WorkerGroupConfig, incarnation: str) -> Lease | WorkerGroupCommand:
    leased = settings.broker.lease.remote(settings.name, incarnation, settings.resources, _LEASE_WAIT_S)
    order: Lease | WorkerGroupCommand = ray.get(leased)
    return order


def _train(lease: Lease, settings: WorkerGroupConfig, ranks: Ranks) -> None:
    """Train one trial; its own exception is recorded and ends it, not the worker group.

    Raises:
        InfrastructureError: Another rank or the broker was lost, the data are out of reach, or a rank has
            not left the trial: the group must start anew, and the broker then decides whether the trial is
            tried again.
    """
    trial_id = lease.trial.trial_id

    def send(events: list[Event]) -> Verdict:
        verdict: Verdict = ray.get(settings.broker.report.remote(events, lease.attempt))
        return verdict

    reports = EventBuffer(send, settings.run.report_every_s)
    with logged(log_file(settings.run.logs, trial_id, ranks.rank), lease.attempt) as log:
        try:
            _train_within_limits(lease, settings, ranks, reports, log)
        except Exception as error:  # the trial boundary
            fault = _fault_of(error, ranks)
            if fault is Fault.DATA_OUT_OF_REACH:
                _write_trace()
                reports.flush()  # it may have got further
                raise
            if fault in INFRASTRUCTURE:
                raise InfrastructureError(f"rank {ranks.rank} lost the others: {error}") from error
            reports.flush()
            _fail(lease, settings, ranks, error)


def _train_within_limits(
    lease: Lease, settings: WorkerGroupConfig, ranks: Ranks, reports: EventBuffer, log: TrialLog | None
) -> None:
    trial, stacks = lease.trial, stacks_file(settings.run.logs, lease.trial.trial_id, ranks.rank)
    within = enforce_limits(
        *(lease, settings.run.limits, settings.broker, reports.flush, log), rank=ranks.rank, stacks=stacks
    )
    model_file = settings.run.model_file(trial.trial_id)
    with within as place:

        def emit(event: Event) -> Verdict:
            place.note(event)
            return reports(event)

        check_same_code(trial)
        splits = make_splits(
            retry_transient(lambda: _source(trial.config.data.source_only())), trial.config.data, trial.seed
        )
        train_trial(
            trial,
            splits,
            uploading_model(emit, settings.run.store, trial.trial_id, model_file),
            ranks=ranks,
            device=ray.train.torch.get_device(),
            checkpoints=CheckpointStore(
                settings.run.checkpoints,
                trial.trial_id,
                settings.run.checkpoint_policy,
                checkpoint_files(settings.run.store, trial.trial_id),
            ),
            attempt=lease.attempt,
            read_parts=read_through_ray_data,
            keep=Artifacts(
                model_file=model_file,
                system_metrics=settings.run.keep.system_metrics,
            ),
        )


def _fault_of(error: Exception, ranks: Ranks) -> Fault:
    """Whose fault it is; what a Ray task of the trial's own raised is the trial's."""
    if isinstance(error, OutOfReachError):
        return Fault.DATA_OUT_OF_REACH
    is_ray = isinstance(error, ray.exceptions.RayError) and not isinstance(error, ray.exceptions.RayTaskError)
    is_lost = is_ray or (ranks.world_size > 1 and is_lost_peer(error))
    return Fault.WORKER_LOST if is_lost else Fault.OWN_ERROR


def _fail(lease: Lease, settings: WorkerGroupConfig, ranks: Ranks, error: Exception) -> None:
    """Tell the broker and the log of a trial's own exception, the one being handled."""
    message, trace = f"{type(error).__name__}: {error}", _write_trace()
    failure = settings.broker.fail.remote(lease.trial.trial_id, lease.attempt, ranks.rank, message, trace)
    if not ray.get(failure):
        raise InfrastructureError(
            "some ranks are still inside a failed trial: start the worker group anew"
        ) from error


def _write_trace() -> str:
    """Write the traceback of the error being handled to the trial's log; the traceback."""
    trace = traceback.format_exc()
    with suppress(OSError, ValueError):  # a full disk, a stream that the trial closed
        sys.stderr.write(trace)
    return trace


@lru_cache(maxsize=2)
def _source(config: Data) -> Source:
    """The decoded source, kept from one trial to the next where it is the same."""
    return load_source(config)
