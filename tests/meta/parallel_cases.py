"""What each gloo rank runs, and finds for the test to judge."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from l2rw_ray.errors import L2RWError
from l2rw_ray.meta import ReweightedStep
from tests.meta.networks import CLASSES, LOSS, batch, make_case

STEPS = 6
EXAMPLES, META = 8, 5
"""Global batch and meta batch."""
LARGE = 100.0
"""A value that no input has of itself."""
WORLDS: dict[int, list[tuple[int, ...]]] = {1: [(8,)], 2: [(4, 4), (5, 3), (2, 6)], 3: [(3, 3, 2), (1, 6, 1)]}
"""Examples of a global batch on each rank, by number of ranks."""
CASES: list[tuple[str, dict[str, Any]]] = [
    ("lenet", {"estimator": "ghost"}),
    ("lenet", {"estimator": "ghost", "update_every": 3}),
    ("lenet", {"estimator": "forward_mode", "update_every": 3}),
    ("lenet", {"estimator": "second_order"}),
    ("lenet", {"estimator": "finite_difference"}),
    ("lenet", {"estimator": "last_layer"}),
    ("group_norm", {"estimator": "ghost", "score_momentum": 0.5, "accumulation_steps": 2}),
    ("mlp", {"estimator": "forward_mode", "accumulation_steps": 3, "max_grad_norm": 0.1}),
    ("mlp", {"estimator": "ghost", "lookahead": "optimizer", "epsilon": 1.0, "meta_gradient_every": 2}),
    ("mlp", {"estimator": "second_order", "lookahead": "optimizer", "epsilon": 1.0}),
]
"""Networks and the options of their steps."""


def data() -> tuple[list, tuple]:
    """Global batches with their indices, and one meta batch."""
    torch.manual_seed(1)
    batches = [(*batch(EXAMPLES), torch.randperm(12)[:EXAMPLES]) for _ in range(STEPS)]
    return batches, batch(META)


def train(model, batches, meta, options: dict[str, Any], share: slice, meta_share: slice):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    step = ReweightedStep(model, optimizer, LOSS, **options)
    meta_part = (meta[0][meta_share], meta[1][meta_share])
    return [step((x[share], y[share]), meta_part, index[share]) for x, y, index in batches]


def run_rank(rank: int, world_size: int) -> dict[Any, Any]:
    batches, meta = data()
    found: dict[Any, Any] = {}
    for sizes in WORLDS[world_size]:
        edges = [sum(sizes[:number]) for number in range(world_size + 1)]
        share, meta_share = slice(*edges[rank : rank + 2]), slice(*_meta_edges(world_size)[rank : rank + 2])
        for number, (name, options) in enumerate(CASES):
            model = DistributedDataParallel(copy.deepcopy(make_case(name).network))
            with _counted_blocking_calls() as calls:
                results = train(model, batches, meta, options, share, meta_share)
            weights: list[Any] = [None] * world_size
            dist.all_gather_object(weights, [result.weights for result in results])
            found[sizes, number] = {
                "parameters": [parameter.detach() for parameter in model.module.parameters()],
                "weights": [torch.cat(parts) for parts in zip(*weights, strict=True)],
                "blocking_calls": len(calls),
                "skipped": sum(result.skipped for result in results),
            }
    if world_size == 2:
        found["nan"] = _nan_on_one_rank(rank, batches, meta)
        found["coupling"] = _coupling_on_one_rank(rank, batches, meta)
        found["refusal"] = _refusal_on_one_rank(rank, batches, meta)
        found["fault"] = _fault_on_one_rank(rank, batches, meta)
        found["new size"] = _new_size(rank, batches, meta)
        found["sink"] = _forward_mode_where_unused_parameters_are_looked_for(rank, batches, meta)
    return found


def _meta_edges(world_size: int) -> list[int]:
    """Unequal shares, one of them empty where there are three ranks."""
    return {1: [0, 5], 2: [0, 3, 5], 3: [0, 4, 4, 5]}[world_size]


@contextmanager
def _counted_blocking_calls() -> Iterator[list]:
    calls: list = []
    originals = {name: getattr(dist, name) for name in ("all_reduce", "all_gather", "broadcast", "barrier")}

    def counted(name):
        def call(*arguments, **options):
            if not options.get("async_op"):
                calls.append(name)
            return originals[name](*arguments, **options)

        return call

    for name in originals:
        setattr(dist, name, counted(name))
    try:
        yield calls
    finally:
        for name, original in originals.items():
            setattr(dist, name, original)


class _CentredWhereLarge(nn.Module):
    """Couples the examples of a batch that has a large value, and leaves others alone."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, CLASSES).double()

    def forward(self, x: Tensor) -> Tensor:
        h = self.head(x.flatten(1))
        return h - h.mean(dim=0) if x.max() > LARGE else h


def _coupling_on_one_rank(rank: int, batches, meta) -> list[str]:
    """The error that each rank sees when the examples of one of them are coupled."""
    model = DistributedDataParallel(_CentredWhereLarge())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = ReweightedStep(model, optimizer, LOSS, estimator="ghost")
    x, y, _ = batches[0]
    x = x + 2 * LARGE if rank == 1 else x
    return _errors_of_all(lambda: step((x, y), meta))


class _ExpertWhereLarge(nn.Module):
    """Has rows for some of its examples alone, where its batch has a large value."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.expert = nn.Linear(64, CLASSES).double(), nn.Linear(CLASSES, CLASSES).double()

    def forward(self, x: Tensor) -> Tensor:
        h = self.head(x.flatten(1))
        if x.max() <= LARGE:
            return self.expert(h)
        return torch.cat([self.expert(h[:1]), h[1:]])


def _refusal_on_one_rank(rank: int, batches, meta) -> dict[str, dict[str, Any]]:
    """The errors that each rank sees when an estimator refuses the batch of one of them, first or later."""
    x, y, _ = batches[0]
    large = x + 2 * LARGE if rank == 1 else x
    found = {}
    for estimator in ("ghost", "auto", "per_example"):
        for when, before in (("first", []), ("later", [x, x])):
            torch.manual_seed(0)
            model = DistributedDataParallel(_ExpertWhereLarge(), find_unused_parameters=True)
            optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
            step, results = ReweightedStep(model, optimizer, LOSS, estimator=estimator), []
            for inputs in (*before, large):
                errors = _errors_of_all(
                    lambda step=step, inputs=inputs, results=results: results.append(step((inputs, y), meta))
                )
            weights = results[-1].weights if results else torch.empty(0)
            found[f"{estimator} {when}"] = {"errors": errors, "weights": weights}
    return found


def _fault_on_one_rank(rank: int, batches, meta) -> dict[str, list[str]]:
    """The errors that each rank sees when a batch of one of them cannot be evaluated."""
    (x, y, _), found = batches[0], {}
    for what in ("train", "meta"):
        model = DistributedDataParallel(make_case("mlp").network)
        step = ReweightedStep(model, None, LOSS)
        wrong = torch.full_like(y if what == "train" else meta[1], CLASSES)
        train = (x, wrong) if what == "train" and rank == 1 else (x, y)
        clean = (meta[0], wrong) if what == "meta" and rank == 1 else meta
        found[what] = _errors_of_all(lambda step=step, train=train, clean=clean: step.score(train, clean))
    return found


class _Templates(nn.Module):
    """Compares images with 21 templates, which ghost takes for three rows of each of 7 examples.

    Args:
        counts: Whether it counts its forwards in a buffer.
    """

    def __init__(self, *, counts: bool) -> None:
        super().__init__()
        self.head, self.layer = nn.Linear(64, CLASSES).double(), nn.Linear(64, CLASSES).double()
        self.templates = torch.linspace(-1, 1, 21 * 64, dtype=torch.float64).sin().view(21, 64)
        if counts:
            self.register_buffer("calls", torch.zeros(()))
        self.counts = counts

    def forward(self, x: Tensor) -> Tensor:
        if self.counts:
            self.calls.add_(1)
        return self.head(x.flatten(1)) * self.layer(self.templates * 2).mean(dim=0)


_SIZES = {
    "train": [(4, 4), (3, 4)],
    "train after another": [(4, 4), (2, 4), (3, 4)],
    "meta": [(4, 4), (4, 3)],
}
"""Train examples of the last rank and meta examples of all, step by step; the last is the new size."""


def _new_size(rank: int, batches, meta) -> dict[str, dict[str, Any]]:
    """What steps do when batches of another size come, by what changes and by estimator."""
    (x, y, _), found = batches[0], {}
    for what, sizes in _SIZES.items():
        found[what] = {}
        for estimator in ("ghost", "auto", "forward_mode"):
            torch.manual_seed(0)
            model = DistributedDataParallel(_Templates(counts="train" in what))
            step = ReweightedStep(model, None, LOSS, estimator=estimator)
            weights, errors = [], []
            for last, meta_size in sizes:
                own = slice(0, last if rank == 1 else 4)

                def score(step=step, own=own, meta_size=meta_size, weights=weights):
                    scored = step.score((x[own], y[own]), (meta[0][:meta_size], meta[1][:meta_size]))
                    weights.append(scored.weights)

                errors.append(_errors_of_all(score))
            calls = model.module.calls.item() if model.module.counts else len(sizes)
            found[what][estimator] = {"errors": errors, "weights": weights, "calls": calls}
            found[what][estimator]["last"] = step.estimator
    return found


def _forward_mode_where_unused_parameters_are_looked_for(rank: int, batches, meta) -> list[str]:
    """The error that each rank sees, as under the Trainer of transformers by default."""
    model = DistributedDataParallel(make_case("mlp").network, find_unused_parameters=True)
    step = ReweightedStep(model, None, LOSS, estimator="forward_mode")
    return _errors_of_all(lambda: step.score(batches[0][:2], meta))


def _nan_on_one_rank(rank: int, batches, meta) -> list[str]:
    """The error that each rank sees when the inputs of one of them are broken."""
    model = DistributedDataParallel(make_case("mlp").network)
    step = ReweightedStep(model, torch.optim.SGD(model.parameters(), lr=0.1), LOSS)
    x, y, _ = batches[0]
    x = torch.full_like(x, torch.nan) if rank == 1 else x
    return _errors_of_all(lambda: step((x, y), meta))


def _errors_of_all(run: Callable[[], object]) -> list[str]:
    """What each rank's call fails with."""
    try:
        run()
        error = "none"
    except (L2RWError, IndexError) as raised:
        error = str(raised)
    errors = ["", ""]
    dist.all_gather_object(errors, error)
    return errors
