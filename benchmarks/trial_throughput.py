"""Time of an epoch of the built-in trainer beside the same recipe as a plain PyTorch loop, in turn.

Images of CIFAR's size with crops and flips, uniform weights, SGD with momentum and a multi-step schedule.
After each epoch of the trial the plain loop trains one, in the same process, so that both see the same load;
the first epochs warm up. A trial's time has all that the trainer does: statistics of steps, its event and a
validation of 100 examples.

    python benchmarks/trial_throughput.py [--models resnet20_bn mlp] [--rounds 9] [--images 2000]
"""

import argparse
import json
from collections.abc import Callable
from math import prod
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from l2rw_ray.config import PlannedTrial, parse_study
from l2rw_ray.data import Source, Splits, load_source, make_splits
from l2rw_ray.events import EpochCompleted, Event, Verdict
from l2rw_ray.models import build_model
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.training import train_trial

TARGET = 1.1
"""Largest ratio of the two times."""
BATCH, CLASSES, SHAPE = 128, 10, (3, 32, 32)


def images(count: int) -> Source:
    """Random images whose classes differ in brightness."""
    generator = torch.Generator().manual_seed(0)
    labels_N = torch.arange(count) % CLASSES
    noise = torch.randint(0, 156, (count, *SHAPE), generator=generator)
    inputs = (noise + 10 * labels_N.view(-1, 1, 1, 1)).to(torch.uint8)
    return Source(inputs, labels_N, tuple(map(str, range(CLASSES))))


def milestones(epochs: int) -> list[int]:
    """Epochs at which the rate falls to a tenth."""
    return sorted({max(epochs // 2, 1), max(3 * epochs // 4, 1)})


class PlainLoop:
    """The recipe as one would write it down, without anything else."""

    def __init__(self, network: nn.Module, images_N: Tensor, labels_N: Tensor, epochs: int) -> None:
        self.network, self.images, self.labels = network, images_N, labels_N
        self.optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
        steps = -(-len(labels_N) // BATCH)
        self.schedule = torch.optim.lr_scheduler.MultiStepLR(
            self.optimizer, [epoch * steps for epoch in milestones(epochs)]
        )

    def epoch(self) -> float:
        """Train an epoch. Returns its mean loss."""
        self.network.train()
        total = torch.zeros(())
        for index in torch.randperm(len(self.labels)).split(BATCH):
            x = augmented(self.images[index]).float() / 127.5 - 1
            loss = cross_entropy(self.network(x), self.labels[index])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            total += loss.detach() * len(index)
        return total.item() / len(self.labels)


def augmented(images_B: Tensor) -> Tensor:
    """Shift each image by up to 4 pixels with black padding, and mirror half of them."""
    count, channels, height, width = images_B.shape
    moves_B2, is_mirrored_B = torch.randint(9, (count, 2)), torch.rand(count) < 0.5
    columns = torch.where(is_mirrored_B[:, None], torch.arange(width).flip(0), torch.arange(width))
    rows_BH, columns_BW = moves_B2[:, :1] + torch.arange(height), moves_B2[:, 1:] + columns
    places = torch.arange(count).view(-1, 1, 1, 1), torch.arange(channels).view(1, -1, 1, 1)
    return pad(images_B, (4, 4, 4, 4))[(*places, rows_BH[:, None, :, None], columns_BW[:, None, None, :])]


def study(model: str, count: int, epochs: int, threads: int) -> Any:
    """The recipe as a study of one trial."""
    return parse_study(
        {
            "name": "throughput",
            "question": "What does an epoch cost beside a plain loop?",
            "trial": {
                "data": {
                    "source": "trial_throughput:images",
                    "options": {"count": count + 300},
                    "train_size": count,
                    "meta_per_class": 10,
                    "validation_size": 100,
                    "test_size": 100,
                    "augment": ["crop", "flip"],
                },
                "model": {"name": model},
                "method": {"name": "uniform"},
                "optim": {
                    "name": "sgd",
                    "lr": 0.05,
                    "momentum": 0.9,
                    "weight_decay": 5e-4,
                    "batch_size": BATCH,
                    "epochs": epochs,
                    "schedule": {"name": "multi_step", "milestones": milestones(epochs)},
                },
                "measurement": {"probe_rounds": 0},
            },
            "design": {"kind": "grid", "factors": {"method.name": ["uniform"]}},
            "seeds": 1,
            "resources": {"cpus_per_worker": threads},
        }
    )


def compare(model: str, count: int, rounds: int, threads: int) -> dict[str, Any]:
    """Time epochs of both in turn; medians, and the median of the rounds' ratios."""
    epochs = rounds + 1
    (trial,) = plan_study(study(model, count, epochs, threads))
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    train = splits.train
    assert isinstance(train.inputs, Tensor)
    held = train.inputs if train.places is None else train.inputs[train.places]
    network = build_model(model, train.input_shape, CLASSES, {}, {})
    plain = PlainLoop(network, held, train.labels, epochs)
    parameters = sum(prod(each.shape) for each in network.parameters())
    return {"model": model, "parameters": parameters, **in_turn(trial, splits, plain.epoch)}


def in_turn(trial: PlannedTrial, splits: Splits, plain_epoch: Callable[[], float]) -> dict[str, Any]:
    """Train a trial, and after each of its epochs one of a plain loop; the first epochs warm up.

    Args:
        trial: The trial.
        splits: Its data.
        plain_epoch: Trains an epoch. Returns its mean loss.

    Returns:
        Medians. `cpu_ratio` is of the CPU time of this process, which depends less on what else runs.
    """
    times_s: list[tuple[float, float]] = []
    cpu_s: list[tuple[float, float]] = []
    losses: list[tuple[float, float]] = []
    ended_s = process_time()

    def emit(event: Event) -> Verdict:
        nonlocal ended_s
        if isinstance(event, EpochCompleted):
            torch.use_deterministic_algorithms(False)  # as a plain loop runs
            started, started_s = perf_counter(), process_time()
            loss = plain_epoch()
            times_s.append((event.duration_s, perf_counter() - started))
            cpu_s.append((started_s - ended_s, process_time() - started_s))
            losses.append((event.metrics["train_loss"], loss))
            torch.use_deterministic_algorithms(True, warn_only=True)
            ended_s = process_time()
        return Verdict.CONTINUE

    train_trial(trial, splits, emit)
    counted = times_s[1:]
    ratio = median(own / other for own, other in counted)
    return {
        "trial_s": median(own for own, _ in counted),
        "plain_s": median(other for _, other in counted),
        "ratio": ratio,
        "ratios": [round(own / other, 3) for own, other in counted],
        "cpu_ratio": median(own / other for own, other in cpu_s[1:]),
        "last_losses": [round(loss, 3) for loss in losses[-1]],
        "target": TARGET,
        "is_met": ratio <= TARGET,
    }


def main() -> None:
    """Print the times as JSON, a line per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["resnet20_bn", "mlp"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    for model in arguments.models:
        found = compare(model, arguments.images, arguments.rounds, arguments.threads)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
