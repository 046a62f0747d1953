"""Learned weights on a small problem in float64, in one process and on gloo ranks."""

from itertools import product
from typing import Any

import torch
import torch.distributed as dist
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from l2rw_ray.config.method.methods import MethodConfig
from l2rw_ray.data import Batch, ExampleSet, MetaSampler
from l2rw_ray.methods import Method, StepOutcome, TrainingContext, build_method

EXAMPLES, FEATURES, CLASSES, META, BATCH = 24, 6, 4, 5, 8
STEPS = 6
SHARES: dict[int, list[int]] = {1: [0, 8], 2: [0, 5, 8]}
"""Edges of the ranks' shares of a batch, by number of ranks."""
LOSS = nn.CrossEntropyLoss(reduction="none")
OPTIMIZERS: dict[str, dict[str, float]] = {
    "plain": {"lr": 0.3},
    "momentum": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3},
}
PARALLEL: list[dict[str, Any]] = [
    {"name": "meta_weight_net", "estimator": "ghost"},
    {"name": "meta_weight_net", "estimator": "forward_mode", "lookahead": "optimizer", "update_every": 2},
    {"name": "meta_weight_net", "estimator": "second_order"},
    {"name": "weight_model", "hidden": [7, 5], "estimator": "ghost", "lookahead": "zero"},
    {"name": "weight_model", "objective": "joint"},
]


CASES = list(product(PARALLEL, ({}, {"accumulation_steps": 2, "max_grad_norm": 0.05})))
"""Methods and the options of their updates that ranks share."""


class Sampler(MetaSampler):
    """Batches of the meta set in float64."""

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> tuple[Tensor, Tensor]:
        x, y = super().batch(step, rank, world_size)
        return x.double(), y


def make_context(optimizer: str, *, parallel: bool = False, **update_options: Any) -> TrainingContext:
    """A fresh smooth network with noise that its weights can see, the same each time."""
    torch.manual_seed(0)
    network: nn.Module = nn.Sequential(nn.Linear(FEATURES, 9), nn.Tanh(), nn.Linear(9, CLASSES)).double()
    stepper = torch.optim.SGD(network.parameters(), **OPTIMIZERS[optimizer])
    train, meta = _examples(EXAMPLES), _examples(META)
    return TrainingContext(
        model=DistributedDataParallel(network) if parallel else network,
        optimizer=stepper,
        loss_fn=LOSS,
        meta=Sampler(meta, None, seed=0),
        train=train,
        classes=CLASSES,
        epochs=2,
        batch_size=BATCH,
        seed=0,
        restart=lambda: None,
        rank=dist.get_rank() if parallel else 0,
        world_size=dist.get_world_size() if parallel else 1,
        update_options=update_options,
    )


def _examples(count: int) -> ExampleSet:
    x, y = torch.randn(count, FEATURES), torch.randint(CLASSES, (count,))
    nothing = torch.zeros(count)
    return ExampleSet(x, y, nothing.bool(), nothing.long(), weight_features=torch.randn(count, 3))


def make_method(method: dict[str, Any], context: TrainingContext) -> Method:
    return build_method(TypeAdapter(MethodConfig).validate_python(method), context)


def batch_of(context: TrainingContext, number: int) -> Batch:
    """This rank's share of the batch of a step, in float64."""
    whole = torch.arange(EXAMPLES).roll(-BATCH * number)[:BATCH]
    edges = SHARES[context.world_size]
    index = whole[edges[context.rank] : edges[context.rank + 1]]
    x, y = context.train.take(index)
    return Batch(x.double(), y, index, BATCH)


def run_steps(method: Method, context: TrainingContext, numbers: range) -> list[StepOutcome]:
    return [method.step(batch_of(context, number), number, 0) for number in numbers]


def run_rank(rank: int, world_size: int) -> list[dict[str, Any]]:
    found = []
    for method, options in CASES:
        context = make_context("momentum", parallel=True, **options)
        built = make_method(method, context)
        outcomes = run_steps(built, context, range(STEPS))
        weights: list[Any] = [None] * world_size
        dist.all_gather_object(weights, [outcome.weights_B for outcome in outcomes])
        states: list[Any] = [None] * world_size
        dist.all_gather_object(states, list(built._network.module.parameters()))
        found.append(
            {
                "parameters": [parameter.detach() for parameter in context.model.parameters()],
                "weights": [torch.cat(parts) for parts in zip(*weights, strict=True)],
                "networks": states,
            }
        )
    return found
