"""The loop of each worker in a worker group: lease a trial, train it with the other ranks, report."""

import os
import sys
import traceback
from contextlib import suppress

import ray
import ray.train
import ray.train.torch

from l2rw_ray.errors import InfrastructureError, OutOfReachError
from l2rw_ray.events import Event, Verdict
from l2rw_ray.measurement import keep_freed_memory
from l2rw_ray.orchestration.broker.failure_policy import INFRASTRUCTURE, Fault
from l2rw_ray.orchestration.broker.trial_queue import Lease, WorkerGroupCommand
from l2rw_ray.orchestration.custom_code import check_same_code
from l2rw_ray.orchestration.workers.event_buffer import EventBuffer
from l2rw_ray.orchestration.workers.examples import keeping_examples
from l2rw_ray.orchestration.workers.limits import enforce_limits
from l2rw_ray.orchestration.workers.recycling import RecyclePolicy
from l2rw_ray.orchestration.workers.row_stream import read_through_ray_data
from l2rw_ray.orchestration.workers.run_config import WorkerGroupConfig
from l2rw_ray.orchestration.workers.trial_log import TrialLog, logged
from l2rw_ray.orchestration.workers.uploads import checkpoint_files, uploading_model
from l2rw_ray.results.trial_logs import log_file, stacks_file
from l2rw_ray.training import CheckpointStore, Ranks, TrainingOptions, is_lost_peer
from l2rw_ray.training.functions.built_in import forget_sources
from l2rw_ray.training.functions.running import run_trial

_LEASE_WAIT_S = 20.0
"""Well below the process group's time-out: idle ranks communicate at least this often."""


def run_worker(config: dict[str, WorkerGroupConfig]) -> None:
    """Train trials until the broker has no more, or until `RecyclePolicy` asks for new workers.

    Args:
        config: `{"settings": …}`, the form in which Ray Train passes configuration.
    """
    settings = config["settings"]
    keep_freed_memory()
    if settings.run.working_directory.is_dir():  # it may not exist on other nodes
        os.chdir(settings.run.working_directory)
    context = ray.train.get_context()
    ranks = Ranks(context.get_world_rank(), context.get_world_size())
    recycling = RecyclePolicy(settings.run.trials_per_worker_group, settings.run.limits, forget_sources)

    def lease() -> Lease | WorkerGroupCommand:
        return settings.broker.lease(settings.name, settings.resources, _LEASE_WAIT_S)

    while True:
        order = ranks.broadcast(lease() if ranks.leads else None)
        if order is WorkerGroupCommand.LEAVE:
            return
        if isinstance(order, Lease):
            _train(order, settings, ranks)
            if recycling.should_recycle(ranks):
                return


def _train(lease: Lease, settings: WorkerGroupConfig, ranks: Ranks) -> None:
    """Train one trial; an exception in it is recorded and ends the trial, not the worker group.

    Raises:
        InfrastructureError: Another rank or the broker was lost, the data are out of reach, or a rank is
            stuck in the trial: the worker group must be restarted. The broker then decides whether the
            trial is retried.
    """
    buffer = EventBuffer(
        lambda events: settings.broker.report(events, lease.attempt), settings.run.report_every_s
    )
    with logged(log_file(settings.run.logs, lease.trial.trial_id, ranks.rank), lease.attempt) as log:
        try:
            _train_within_limits(lease, settings, ranks, buffer, log)
        except Exception as error:  # the trial boundary
            fault = _fault_of(error, ranks)
            if fault is Fault.DATA_OUT_OF_REACH:
                _write_trace()
                buffer.flush()  # new epochs count as progress
                raise
            if fault in INFRASTRUCTURE:
                raise InfrastructureError(f"rank {ranks.rank} lost the others: {error}") from error
            buffer.flush()
            _fail(lease, settings, ranks, error)


def _train_within_limits(
    lease: Lease, settings: WorkerGroupConfig, ranks: Ranks, buffer: EventBuffer, log: TrialLog | None
) -> None:
    trial, stacks = lease.trial, stacks_file(settings.run.logs, lease.trial.trial_id, ranks.rank)
    limited = enforce_limits(
        *(lease, settings.run.limits, settings.broker, buffer.flush, log), rank=ranks.rank, stacks=stacks
    )
    model_file = settings.run.model_file(trial.trial_id)
    with limited as position:

        def emit(event: Event) -> Verdict:
            position.update(event)
            return buffer(event)

        check_same_code(trial)
        run_trial(
            trial,
            uploading_model(emit, settings.run.store, trial.trial_id, model_file),
            TrainingOptions(
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
                model_file=model_file,
                keep_examples=keeping_examples(settings.run, trial),
                system_metrics=settings.run.keep.system_metrics,
            ),
            settings.run.metrics,
        )


def _fault_of(error: Exception, ranks: Ranks) -> Fault:
    """Classify an exception; one that a Ray task of the trial raised is the trial's own."""
    if isinstance(error, OutOfReachError):
        return Fault.DATA_OUT_OF_REACH
    is_ray = isinstance(error, ray.exceptions.RayError) and not isinstance(error, ray.exceptions.RayTaskError)
    is_lost = is_ray or (ranks.world_size > 1 and is_lost_peer(error))
    return Fault.WORKER_LOST if is_lost else Fault.OWN_ERROR


def _fail(lease: Lease, settings: WorkerGroupConfig, ranks: Ranks, error: Exception) -> None:
    """Report the trial's exception, the one being handled, to the broker and the log."""
    if not settings.broker.fail(lease, ranks.rank, f"{type(error).__name__}: {error}", _write_trace()):
        raise InfrastructureError("some ranks are stuck in a failed trial") from error


def _write_trace() -> str:
    """Write the traceback of the error being handled to the trial's log and return it."""
    trace = traceback.format_exc()
    with suppress(OSError, ValueError):  # a full disk, a stream that the trial closed
        sys.stderr.write(trace)
    return trace
