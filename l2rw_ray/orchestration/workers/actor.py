"""The actor that each worker of a group is: a process that runs Ray Train in its local mode.

Ray Train's own worker groups have a controller, a synchronisation actor and a coordinator beside them, which
take ten seconds and a gigabyte per group, most of it on the driver's node. In local mode, Ray Train runs the
training function in the process that asks for it, alone or as one of several that `torchrun`'s variables
describe. `WorkerGroup` starts these actors and notices when one is lost.
"""

import os
import socket
from collections.abc import Mapping

import ray
from ray.util import get_node_ip_address

from l2rw_ray.orchestration.workers.rendezvous import TORCHRUN_VARIABLES, WorkerPlace
from l2rw_ray.orchestration.workers.run_config import WorkerGroupConfig
from l2rw_ray.orchestration.workers.working_directory import ensure_working_directory


class TrainWorker:
    """One worker of a worker group. It imports torch only when it trains, in an environment made for it."""

    def place(self) -> WorkerPlace:
        """Return where this worker runs."""
        context = ray.get_runtime_context()
        gpus = tuple(map(str, context.get_accelerator_ids().get("GPU", ())))
        return WorkerPlace(context.get_node_id(), get_node_ip_address(), _free_port(), gpus)

    def train(self, settings: WorkerGroupConfig, variables: Mapping[str, str]) -> None:
        """Train trials until the worker group is to leave or to be replaced.

        Args:
            settings: Settings of the worker group.
            variables: Environment variables of this rank, as `torchrun_variables` returns them.
        """
        for name in TORCHRUN_VARIABLES:
            os.environ.pop(name, None)  # those of a launcher that Ray was started by
        os.environ.update(variables)
        if not settings.resources.gpus_per_worker:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray Train takes a GPU wherever it sees one
        ensure_working_directory()  # which torch needs
        from ray.train import ScalingConfig
        from ray.train.torch import TorchTrainer

        from l2rw_ray.orchestration.workers.worker import run_worker

        TorchTrainer(
            run_worker,
            train_loop_config={"settings": settings},
            scaling_config=ScalingConfig(num_workers=0),  # local mode
        ).fit()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port
