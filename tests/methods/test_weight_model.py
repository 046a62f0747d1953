"""On the meta loss, weights learn which labels can be trusted; learned jointly, they go to zero."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from scipy.stats import spearmanr
from torch import Tensor, nn

from l2rw_ray.config.data.sources import CustomData
from l2rw_ray.config.method.methods import MethodConfig
from l2rw_ray.data import MetaSampler, Source, epoch_batches, load_source, make_splits
from l2rw_ray.import_path import load, look_in
from l2rw_ray.methods import TrainingContext, build_method
from l2rw_ray.models import build_model

STUDY = Path(__file__).parents[2] / "studies" / "weight_model"
DATA = CustomData(source="known_reliability:load", train_size=500, meta_per_class=10, test_size=1000)
SEEDS, EPOCHS = range(3), 20


@dataclass(frozen=True)
class Trained:
    """What came of a trial: test accuracy, last weights relative to 1/B, probability of a right label."""

    accuracy: float
    relative_N: Tensor
    reliability_N: Tensor


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    look_in(STUDY)
    yield load_source(DATA)
    look_in(None)


def _train(source: Source, method: dict[str, Any], seed: int) -> Trained:
    splits = make_splits(source, DATA, seed)
    torch.manual_seed(seed)
    model = build_model("mlp", splits.train.input_shape, 4)
    context = TrainingContext(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        loss_fn=nn.CrossEntropyLoss(reduction="none"),
        meta=MetaSampler(splits.meta, None, seed),
        train=splits.train,
        classes=4,
        epochs=EPOCHS,
        batch_size=100,
        seed=seed,
        restart=lambda: None,
    )
    built = build_method(TypeAdapter(MethodConfig).validate_python(method), context)
    relative_N = torch.ones(len(splits.train))
    for epoch in range(EPOCHS):
        for batch in epoch_batches(splits.train, 100, seed, epoch):
            weights_B = built.step(batch, 0, epoch).weights_B
            if weights_B is not None:
                relative_N[batch.index] = weights_B * batch.global_size
    x, y = splits.test.take(torch.arange(len(splits.test)))
    reliability_N = load("known_reliability:reliability", "")(source.weight_features)[splits.train.rows]
    accuracy = (model(x).argmax(dim=1) == y).double().mean().item()
    return Trained(accuracy, relative_N, reliability_N)


def test_meta_objective_finds_what_can_be_trusted_and_joint_objective_collapses(source: Source) -> None:
    for seed in SEEDS:
        plain = _train(source, {"name": "uniform"}, seed)
        meta = _train(source, {"name": "weight_model", "lr": 0.005}, seed)
        joint = _train(source, {"name": "weight_model", "lr": 0.005, "objective": "joint"}, seed)
        assert spearmanr(meta.relative_N, meta.reliability_N).statistic > 0.8
        assert meta.relative_N.mean().item() == pytest.approx(1)
        assert joint.relative_N.mean() < 0.02
        assert meta.accuracy > plain.accuracy + 0.1
        assert meta.accuracy > joint.accuracy + 0.1


def test_the_source_is_what_it_says(source: Source) -> None:
    reliability_N = load("known_reliability:reliability", "")(source.weight_features)
    right_N = source.train_labels == source.labels
    for low, high in ((0, 0.3), (0.3, 0.7), (0.7, 1)):
        part = (low <= reliability_N) & (reliability_N < high)
        assert right_N[part].double().mean().item() == pytest.approx(
            reliability_N[part].mean().item(), abs=0.04
        )
