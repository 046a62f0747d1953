"""The perceptron on numbers and categories."""

import pytest
import torch
from torch import nn

from l2rw_ray import example_scores
from l2rw_ray.errors import ConfigError
from l2rw_ray.meta import reference_scores
from l2rw_ray.models import build_model

SHAPE = {"features": (3,), "categories": (2,)}
SIZES = {"category_sizes": (4, 5)}
LOSS = nn.CrossEntropyLoss(reduction="none")


def rows(count: int) -> dict[str, torch.Tensor]:
    categories = torch.stack([torch.arange(count) % 4, torch.arange(count) % 5], dim=1)
    return {"features": torch.randn(count, 3), "categories": categories}


def network(how: str, shape: dict = SHAPE) -> nn.Module:
    torch.manual_seed(0)
    return build_model("mlp", shape, 3, {"width": 6, "categories": how}, SIZES)


@pytest.mark.parametrize("how", ["one_hot", "embedding"])
def test_unseen_values_add_nothing_and_known_ones_do(how: str) -> None:
    model, inputs = network(how), rows(4)
    inputs["features"] = torch.zeros(4, 3)
    inputs["categories"] = torch.tensor([[1, 1], [2, 1], [3, 1], [1, 4]])
    outputs = model(inputs)
    assert len({tuple(output.tolist()) for output in outputs}) == 4
    bias = model({"features": torch.zeros(1, 3), "categories": torch.tensor([[1, 1]])})
    torch.testing.assert_close(outputs[:1], bias)
    first = model[1]
    expected = nn.Sequential(*model[2:])(first.bias)
    torch.testing.assert_close(outputs[0], expected)


@pytest.mark.parametrize("how", ["one_hot", "embedding"])
@pytest.mark.parametrize("parts", [("features", "categories"), ("categories",)])
def test_scores_by_ghost_equal_algorithm_1(how: str, parts: tuple[str, ...]) -> None:
    model = network(how, {name: SHAPE[name] for name in parts}).double()
    batches = []
    for count in (9, 5):
        inputs = {name: part for name, part in rows(count).items() if name in parts}
        if "features" in inputs:
            inputs["features"] = inputs["features"].double()
        batches.append((inputs, torch.arange(count) % 3))
    expected = reference_scores(model, LOSS, *batches)
    assert expected.abs().max() > 0
    torch.testing.assert_close(example_scores(model, LOSS, *batches, estimator="ghost"), expected)


def test_images_networks_do_not_take_them() -> None:
    with pytest.raises(ConfigError, match="inputs are a dict, it takes one tensor"):
        build_model("lenet", SHAPE, 3, {}, SIZES)
