"""Published recipes: each is planned as it stands, and trains for two epochs on a few small images."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from l2rw_ray.config import PlannedTrial, load_study, parse_study
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.events import Event, TrialEnded, Verdict
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.training import train_trial

RECIPES = Path(__file__).parents[2] / "studies" / "published"
TRIALS = {
    "cao2019_long_tail": 20,
    "patil2024_cifar10": 75,
    "patil2024_ham10000": 20,
    "ren2018_background_flip": 15,
    "ren2018_background_flip_cifar100": 15,
    "ren2018_mnist": 200,
    "ren2018_uniform_flip": 15,
    "ren2018_uniform_flip_cifar100": 15,
    "shu2019_label_noise": 15,
    "shu2019_long_tail": 20,
}
OF_A_SOURCE = ("source", "root", "image_size", "train_size", "meta_per_class", "transforms", "normalize")
IMAGES = """
import torch
from l2rw_ray.data import Source

def load():
    labels = torch.arange(600) % 10
    noise = torch.randint(100, (600, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    images = noise + 15 * labels[:, None, None, None]
    return Source(images.to(torch.uint8), labels, tuple(str(label) for label in range(10)))
"""


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipe_plans_what_it_says(path: Path) -> None:
    spec = load_study(path)
    assert spec.name == path.stem.replace("_", "-")
    assert len(plan_study(spec)) == TRIALS[path.stem]
    methods = {trial.config.method.name for trial in plan_study(spec)}
    assert {figure.method for table in spec.published for figure in table.figures} <= methods


@pytest.mark.parametrize("name", TRIALS)
def test_recipe_trains_in_small(name: str, write_code: Callable[[str, str], Path]) -> None:
    write_code("small_images.py", IMAGES)
    tree = YAML(typ="safe").load(RECIPES / f"{name}.yaml")
    trial, design = tree["trial"], tree["design"]
    kept = {key: value for key, value in trial["data"].items() if key not in OF_A_SOURCE}
    bias = kept.get("bias", {})
    size = {} if bias.get("size") == "as_published" else {"train_size": 20 if "ratio" in bias else 60}
    trial["data"] = {"source": "small_images:load", "meta_per_class": 2, "test_size": 60, **size, **kept}
    trial["model"] = {"name": "lenet"}
    trial["method"].pop("meta_batch_size", None)
    schedule = trial["optim"].get("schedule", {})
    schedule |= {"milestones": [1], "unit": "epochs", "warmup": 0} if schedule else {}
    epochs = 3 if "method.finetune_epochs" in design["factors"] else 2  # so that a milestone is reached
    trial["optim"] |= {"epochs": epochs, "batch_size": 20}
    trial["measurement"] = {"probe_rounds": 0}
    design["factors"] = {path: levels[-1:] for path, levels in design["factors"].items()} | {
        "method.name": design["factors"]["method.name"]
    }
    if "method.finetune_epochs" in design["factors"]:
        design["factors"]["method.finetune_epochs"] = [1]
    bias = trial["data"].get("bias", {})
    bias |= {"imbalance_factor": 4} if bias.get("kind") == "long_tail" else {}
    if bias.get("kind") == "two_class":
        design["factors"]["data.bias.ratio"] = [9]
    tree |= {"seeds": 1, "resources": {"workers": 1}}
    for planned in plan_study(parse_study(tree)):
        assert math.isfinite(_balanced_accuracy(planned))


def _balanced_accuracy(planned: PlannedTrial) -> float:
    events: list[Event] = []

    def emit(event: Event) -> Verdict:
        events.append(event)
        return Verdict.CONTINUE

    splits = make_splits(load_source(planned.config.data), planned.config.data, planned.seed)
    train_trial(planned, splits, emit)
    assert isinstance(events[-1], TrialEnded)
    return events[-1].metrics["test_balanced_accuracy"]
