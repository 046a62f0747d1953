"""Wrappers of every kind around a network, and what two gloo ranks find with them."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from l2rw_ray.errors import InputError
from l2rw_ray.meta import Replicas, ReweightedStep, example_scores
from tests.meta.networks import LOSS, batch, make_case

STEPS = 3
SHARES = [(slice(0, 5), slice(0, 3)), (slice(5, 8), slice(3, 5))]
"""Train and meta examples of each rank, unequal in number."""
ESTIMATORS = ("ghost", "forward_mode", "finite_difference", "auto")


class Wrapper(nn.Module):
    """Holds a network as one of its parts."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class Scaled(nn.Module):
    """A network whose outputs a loss scales; it has no forward of its own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scale", torch.tensor(0.5))


def scaled_losses(model: Any, pair: tuple[Tensor, Tensor]) -> Tensor:
    return LOSS(model.network(pair[0]) * model.scale, pair[1])


def plain_losses(model: Any, pair: tuple[Tensor, Tensor]) -> Tensor:
    return LOSS(model(pair[0]), pair[1])


def stray_losses(model: Any, pair: tuple[Tensor, Tensor]) -> Tensor:
    """Losses that call a part of the network and miss the wrapper."""
    return LOSS(model.module(pair[0]), pair[1])


def compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, backend="eager")


PLACES: dict[str, tuple[Callable[[nn.Module], nn.Module], Any]] = {
    "inside": (lambda network: Wrapper(DistributedDataParallel(network)), plain_losses),
    "around": (lambda network: DistributedDataParallel(Wrapper(network)), plain_losses),
    "compiled_around": (lambda network: compiled(DistributedDataParallel(network)), plain_losses),
    "compiled_inside": (lambda network: DistributedDataParallel(compiled(network)), plain_losses),
    "losses_call_it": (lambda network: Scaled(DistributedDataParallel(network)), scaled_losses),
}
"""Where DistributedDataParallel stands, and the losses that call the model."""


def data() -> tuple[list[Any], Any]:
    torch.manual_seed(1)
    return [batch(8) for _ in range(STEPS)], batch(5)


def train(
    model: nn.Module, losses: Any, options: dict[str, Any], share: slice, meta_share: slice
) -> list[Any]:
    batches, (x_meta, y_meta) = data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    step = ReweightedStep(model, optimizer, losses=losses, **options)
    meta = x_meta[meta_share], y_meta[meta_share]
    return [step((x[share], y[share]), meta) for x, y in batches]


def gathered(parts: list[Tensor]) -> list[Tensor]:
    """Put the ranks' shares of each tensor together."""
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, parts)
    return [torch.cat(shares) for shares in zip(*everyone, strict=True)]


def error_of(run: Callable[[], object]) -> str:
    """What a call is refused with."""
    try:
        run()
    except InputError as refused:
        return str(refused)
    return "nothing"


def places_on_rank(rank: int, world_size: int) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for place, (wrap, losses) in PLACES.items():
        for estimator in ESTIMATORS:
            network = copy.deepcopy(make_case("mlp").network)
            options = {"estimator": estimator}
            if place.startswith("compiled") and estimator == "forward_mode":
                found[place, estimator] = error_of(
                    lambda: train(wrap(network), losses, options, *SHARES[rank])  # noqa: B023
                )
                continue
            results = train(wrap(network), losses, options, *SHARES[rank])
            found[place, estimator] = {
                "parameters": [parameter.detach() for parameter in network.parameters()],
                "weights": gathered([result.weights for result in results]),
                "estimator": results[-1].certificate.estimator,
            }
    found["refusals"] = _refusals(rank)
    found["single"] = _single(rank)
    return found


def _refusals(rank: int) -> dict[str, str]:
    from torch.distributed._composable import replicate
    from torch.distributed._composable.replicate_with_fsdp import replicate as replicate_with_fsdp
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

    def network() -> nn.Sequential:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10)).double()

    def refusal(model: nn.Module, losses: Any = plain_losses) -> str:
        train_share, meta_share = SHARES[rank]
        return error_of(lambda: train(model, losses, {"estimator": "auto"}, train_share, meta_share))

    mesh = init_device_mesh("cpu", (2,))
    square = init_device_mesh("cpu", (2, 1), mesh_dim_names=("replicate", "shard"))
    spread = parallelize_module(network(), mesh, {"1": ColwiseParallel()})
    both = parallelize_module(network(), square["shard"], {"1": ColwiseParallel()})
    twins = nn.ModuleList(DistributedDataParallel(network()) for _ in range(2))
    half = nn.Sequential(DistributedDataParallel(network()), nn.Linear(10, 10).double())
    part_sharded = network()
    fully_shard(part_sharded[1], mesh=mesh)
    return {
        "bare": refusal(network()),
        "replicate": refusal(replicate(network())),
        "replicate_with_fsdp": refusal(replicate_with_fsdp(network(), mesh=mesh)),
        "DataParallel": refusal(nn.DataParallel(network())),
        "FSDP1": refusal(FullyShardedDataParallel(network(), device_id=torch.device("cpu"))),
        "tensor parallel": refusal(spread),
        "FSDP2 and tensor parallel": refusal(fully_shard(both, mesh=square["replicate"])),
        "FSDP2 on a mesh of two dimensions": refusal(fully_shard(network(), mesh=square)),
        "FSDP2 in part": refusal(part_sharded),
        "twins": refusal(twins),
        "half": refusal(half),
        "stray": refusal(DistributedDataParallel(network()), stray_losses),
        "single of DDP": error_of(lambda: Replicas.single(DistributedDataParallel(network()))),
        "single of FSDP2": error_of(lambda: Replicas.single(fully_shard(network(), mesh=mesh))),
    }


def _single(rank: int) -> list[dict[str, Any]]:
    """A model per rank, each trained on its rank's share."""
    network = make_case("mlp").network
    replicas = Replicas.single(network)
    batches, (x_meta, y_meta) = data()
    share, meta_share = SHARES[rank]
    part, meta = (batches[0][0][share], batches[0][1][share]), (x_meta[meta_share], y_meta[meta_share])
    scores = example_scores(network, LOSS, part, meta, replicas=replicas)
    results = train(network, plain_losses, {"replicas": replicas}, share, meta_share)
    own = {
        "scores": scores,
        "weights": [result.weights for result in results],
        "parameters": [parameter.detach() for parameter in network.parameters()],
    }
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, own)
    return everyone
