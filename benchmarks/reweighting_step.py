"""A reweighted step by this library's estimators, compared with implementations by `higher` and `torchopt`.

All steps take turns in one run on the same network and batches, and none of them learns (learning
rate 0); ratios are to the plain step of the same round.

    uv run --group benchmarks python benchmarks/reweighting_step.py [--model lenet] [--rounds 20]
"""

import argparse
import contextlib
import copy
import importlib.util
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from l2rw_ray.bench.case import PLAIN, BenchCase
from l2rw_ray.bench.measure import DEFAULT_ESTIMATORS
from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.measurement import describe_hardware, interleaved_times, keep_freed_memory
from l2rw_ray.meta import example_weights

LOSS = nn.CrossEntropyLoss(reduction="none")
LR = 1e-3


def with_higher(case: BenchCase) -> Callable[[], object]:
    """Algorithm 1 as most repositories write it: a differentiable copy of the model by `higher`."""
    import higher

    network = copy.deepcopy(case.network)
    optimizer = torch.optim.SGD(network.parameters(), lr=LR)

    def scores() -> Tensor:
        epsilon = torch.zeros(len(case.train[1]), requires_grad=True)
        with higher.innerloop_ctx(network, optimizer) as (functional, inner):
            inner.step((epsilon * LOSS(functional(case.train[0]), case.train[1])).sum())
            meta_loss = LOSS(functional(case.meta[0]), case.meta[1]).mean()
            return -torch.autograd.grad(meta_loss, epsilon)[0]

    return _stepper(case, network, scores)


def with_torchopt(case: BenchCase) -> Callable[[], object]:
    """Algorithm 1 by `torchopt.MetaSGD`, which steps in place and is undone afterwards."""
    import torchopt

    network = copy.deepcopy(case.network)
    inner = torchopt.MetaSGD(network, lr=LR)

    def scores() -> Tensor:
        before: Any = torchopt.extract_state_dict(network, by="reference")
        state: Any = torchopt.extract_state_dict(inner)
        epsilon = torch.zeros(len(case.train[1]), requires_grad=True)
        inner.step((epsilon * LOSS(network(case.train[0]), case.train[1])).sum())
        meta_loss = LOSS(network(case.meta[0]), case.meta[1]).mean()
        found = -torch.autograd.grad(meta_loss, epsilon)[0]
        torchopt.recover_state_dict(network, before)
        torchopt.recover_state_dict(inner, state)
        return found

    return _stepper(case, network, scores)


def _stepper(case: BenchCase, network: nn.Module, scores: Callable[[], Tensor]) -> Callable[[], object]:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0, momentum=0.9)

    def step() -> Tensor:
        u = scores()
        optimizer.zero_grad()
        (example_weights(u) * LOSS(network(case.train[0]), case.train[1])).sum().backward()
        optimizer.step()
        return u

    return step


def main() -> None:
    """Measure and print a Markdown table."""
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="lenet")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--meta-size", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    device = torch.device("cpu")
    case = BenchCase.build(given.model, given.batch_size, given.meta_size, (3, 32, 32), device)
    steppers = {PLAIN: case.stepper(PLAIN)}
    for name in DEFAULT_ESTIMATORS:
        with contextlib.suppress(UnsupportedModelError):
            (stepper := case.stepper(name))()
            steppers[name] = stepper
    for name, make in (("higher", with_higher), ("torchopt", with_torchopt)):
        if importlib.util.find_spec(name):
            steppers[name] = make(case)
    times_s = interleaved_times(steppers, given.rounds, device)
    print(f"{given.model}, B = {given.batch_size}, M = {given.meta_size}; {describe_hardware(device)}\n")
    print("| step | ms | ratio to plain |\n|---|---|---|")
    for name, found in times_s.items():
        ratio = median(mine / plain for mine, plain in zip(found, times_s[PLAIN], strict=True))
        print(f"| {name} | {1e3 * median(found):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
