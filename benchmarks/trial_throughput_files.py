"""Time of an epoch on JPEG files beside the same recipe as a plain PyTorch loop, in turn.

Files of 224×224, RandomResizedCrop to 32×32 and flips, ResNet-20, SGD with momentum. The plain loop reads
them by torch's DataLoader with as many worker processes as the trial. See trial_throughput.py.

    python benchmarks/trial_throughput_files.py [--workers 0 1] [--rounds 7] [--images 600]
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from image_loading import BATCH, CLASSES, MEAN, STD, write_images
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from trial_throughput import in_turn

from l2rw_ray.config import parse_study
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.models import build_model
from l2rw_ray.planning.plan import plan_study

_SIDE, _MODEL = 32, "resnet20_bn"
_OPTIM: dict[str, Any] = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4}


class PlainLoop:
    """The recipe as one would write it down."""

    def __init__(self, folder: Path, network: nn.Module, num_workers: int) -> None:
        steps = [v2.RandomResizedCrop(_SIDE), v2.RandomHorizontalFlip(), v2.ToImage()]
        change = v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
        images = ImageFolder(folder / "files", change)
        self.batches = DataLoader(images, BATCH, shuffle=True, num_workers=num_workers)
        self.network, self.optimizer = network, torch.optim.SGD(network.parameters(), **_OPTIM)

    def epoch(self) -> float:
        """Train an epoch. Returns its mean loss."""
        self.network.train()
        total, count = torch.zeros(()), 0
        for x, y in self.batches:
            loss = cross_entropy(self.network(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total, count = total + loss.detach() * len(y), count + len(y)
        return total.item() / count


def study(folder: Path, epochs: int, num_workers: int) -> Any:
    """The recipe as a study of one trial."""
    return parse_study(
        {
            "name": "throughput",
            "question": "What does an epoch on files cost beside a plain loop?",
            "trial": {
                "data": {
                    "source": "image_folder",
                    "train": str(folder / "files"),
                    "meta_per_class": 1,
                    "test_size": CLASSES,
                    "transforms": {
                        "train": [{"name": "RandomResizedCrop", "size": _SIDE}, "RandomHorizontalFlip"],
                        "evaluate": [{"name": "Resize", "size": _SIDE}],
                    },
                    "normalize": {"mean": MEAN, "std": STD},
                    "num_workers": num_workers,
                },
                "model": {"name": _MODEL},
                "method": {"name": "uniform"},
                "optim": {"name": "sgd", **_OPTIM, "batch_size": BATCH, "epochs": epochs},
                "measurement": {"probe_rounds": 0},
            },
            "design": {"kind": "grid", "factors": {"method.name": ["uniform"]}},
            "seeds": 1,
        }
    )


def main() -> None:
    """Print the times as JSON, a line for each number of worker processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1], help="processes of both sides")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trial_throughput_") as name:
        write_images(Path(name), options.images)
        for num_workers in options.workers:
            (trial,) = plan_study(study(Path(name), options.rounds + 1, num_workers))
            splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
            network = build_model(_MODEL, splits.train.input_shape, CLASSES, {}, {})
            plain = PlainLoop(Path(name), network, num_workers)
            print(json.dumps({"num_workers": num_workers, **in_turn(trial, splits, plain.epoch)}), flush=True)


if __name__ == "__main__":
    main()
