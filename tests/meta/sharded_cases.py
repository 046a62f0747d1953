"""Networks sharded by `fully_shard`, and what two gloo ranks find with them."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from l2rw_ray.meta import ReweightedStep, example_scores
from l2rw_ray.meta.alignment.per_example import PerExample
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.losses import trainable
from l2rw_ray.meta.replicas import Replicas
from tests.meta.networks import LOSS, batch
from tests.meta.wrapper_cases import Wrapper, error_of, gathered

STEPS = 4
TRAIN_SHARES = (slice(0, 5), slice(5, 8))
META_SHARES = {"unequal": (slice(0, 3), slice(3, 5)), "empty": (slice(0, 5), slice(5, 5))}
REFUSED = ("ghost", "forward_mode", "second_order", "last_layer")


def network() -> nn.Sequential:
    """Thirteen hidden units, which two ranks cannot halve, and a layer that is frozen."""
    torch.manual_seed(0)
    layers = (nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 13), nn.Tanh(), nn.Linear(13, 10))
    made = nn.Sequential(*layers).double()
    made[1].requires_grad_(requires_grad=False)
    return made


def _whole(model: nn.Module) -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    return fully_shard(model)


def _by_block(model: nn.Module) -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer)
    return fully_shard(model)


WAYS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "whole": _whole,
    "by_block": _by_block,
    "inside": lambda model: Wrapper(_by_block(model)),
    "compiled": lambda model: torch.compile(_by_block(model), backend="eager"),
}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("whole", {"estimator": "finite_difference"}),
    ("by_block", {"estimator": "finite_difference"}),
    ("by_block", {"estimator": "per_example", "max_grad_norm": 0.1}),
    ("by_block", {"estimator": "central_difference", "lookahead": "optimizer", "epsilon": 1.0}),
    ("whole", {"estimator": "per_example", "accumulation_steps": 2, "meta_gradient_every": 2}),
    ("by_block", {"estimator": "auto", "update_every": 2, "score_momentum": 0.5}),
    ("by_block", {"estimator": "auto", "max_error": 0.0}),
    ("inside", {"estimator": "auto"}),
    ("compiled", {"estimator": "auto"}),
    ("compiled", {"estimator": "per_example", "lookahead": "sgd"}),
]
"""How the network is sharded, and the options of its steps."""


def data() -> tuple[list[Any], Any]:
    """Return batches with positions, the last one short, and a meta batch."""
    torch.manual_seed(1)
    sizes = [8] * (STEPS - 1) + [7]
    return [(*batch(size), torch.randperm(12)[:size]) for size in sizes], batch(5)


def train(model: nn.Module, options: dict[str, Any], share: slice, meta_share: slice) -> list[Any]:
    batches, (x_meta, y_meta) = data()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01)
    if options.get("accumulation_steps"):
        optimizer = torch.optim.SGD(trained, lr=0.05, momentum=0.9)
    step = ReweightedStep(model, optimizer, LOSS, **options)
    meta = x_meta[meta_share], y_meta[meta_share]
    return [step((x[share], y[share]), meta, index[share]) for x, y, index in batches]


def whole(parameters: Any) -> list[Tensor]:
    return [parameter.detach().full_tensor() for parameter in parameters]


class _WrongOnOneRank(PerExample):
    """Gives one example of the second rank another score."""

    def score(self, forward: Forward, batch: Any, source: DirectionSource) -> Any:
        scored = super().score(forward, batch, source)
        if forward.replicas.rank == 1:
            scored.scores[0] += 0.1 * scored.scores.norm()
        return scored


def run_rank(rank: int, world_size: int) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for number, (way, options) in enumerate(CASES):
        for kind, shares in META_SHARES.items():
            if kind == "empty" and number > 2:
                continue
            model = WAYS[way](copy.deepcopy(network()))
            results = train(model, options, TRAIN_SHARES[rank], shares[rank])
            found[number, kind] = {
                "parameters": whole(model.parameters()),
                "weights": gathered([result.weights for result in results]),
                "cosines": [result.direction_cosine for result in results],
                "estimator": results[0].certificate.estimator,
                "score_error": results[0].certificate.score_error,
            }
    found["scores"] = _scores(rank)
    found["refusals"] = {name: _refusal(name, rank) for name in REFUSED}
    found["wrong"] = _errors_of_all(_WrongOnOneRank(), rank)
    found["no_sync"] = _without_sum(rank)
    found["bfloat16"] = _in_bfloat16(rank)
    return found


def _share(rank: int) -> tuple[Any, Any]:
    batches, (x_meta, y_meta) = data()
    (x, y, _), share, meta = batches[0], TRAIN_SHARES[rank], META_SHARES["unequal"][rank]
    return (x[share], y[share]), (x_meta[meta], y_meta[meta])


def _scores(rank: int) -> dict[str, Any]:
    """Scores by `example_scores` after a step, whose gradients are still there, and an evaluation."""
    model = _by_block(network())
    part, meta = _share(rank)
    LOSS(model(part[0]), part[1]).mean().backward()
    before = whole(model.parameters())
    gradients = [p.grad.full_tensor() for p in model.parameters() if p.grad is not None]
    with torch.no_grad():
        model(part[0])  # leaves the root's parameters gathered
    found: dict[str, Any] = {}
    for name in ("per_example", "auto", "finite_difference"):
        found[name] = gathered([example_scores(model, LOSS, part, meta, estimator=name)])[0]
    after = whole(model.parameters())
    kept = [p.grad.full_tensor() for p in model.parameters() if p.grad is not None]
    pairs = [*zip(before, after, strict=True), *zip(gradients, kept, strict=True)]
    found["is_untouched"] = all(torch.equal(old, new) for old, new in pairs)
    found["trained"] = sorted(trainable(Replicas.of(model).module))
    return found


def _refusal(name: str, rank: int) -> str:
    model = _by_block(network())
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return error_of(lambda: ReweightedStep(model, torch.optim.SGD(trained, lr=0.1), LOSS, estimator=name))


def _errors_of_all(estimator: Any, rank: int) -> list[str]:
    part, meta = _share(rank)
    model = _by_block(network())
    error = error_of(lambda: example_scores(model, LOSS, part, meta, estimator=estimator))
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, error)
    return everyone


def _without_sum(rank: int) -> str:
    model = _by_block(network())
    part, meta = _share(rank)
    model.set_requires_gradient_sync(False)
    return error_of(lambda: example_scores(model, LOSS, part, meta, estimator="finite_difference"))


def _in_bfloat16(rank: int) -> list[str]:
    """Estimators that a network takes which computes in bfloat16."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    part, meta = _share(rank)
    model = fully_shard(network().float(), mp_policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    (x, y), (x_meta, y_meta) = part, meta
    step = ReweightedStep(model, torch.optim.SGD(trained, lr=0.1), LOSS)
    result = step((x.float(), y), (x_meta.float(), y_meta))
    named = error_of(
        lambda: example_scores(
            model, LOSS, (x.float(), y), (x_meta.float(), y_meta), estimator="finite_difference"
        )
    )
    return [result.certificate.estimator, named]
