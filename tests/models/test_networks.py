"""Networks fit their inputs, are reproducible, and are the ones a study file may name."""

from typing import get_args

import pytest
import torch

from l2rw_ray.config.trial import ModelConfig
from l2rw_ray.errors import InputError
from l2rw_ray.models import MODELS, build_model


def test_names_are_those_of_the_configuration() -> None:
    assert MODELS.names() == tuple(sorted(get_args(ModelConfig.model_fields["name"].annotation)))


LARGE = [name for name in MODELS.names() if name.startswith(("wrn28", "alexnet", "resnet110"))]
SMALL = [name for name in MODELS.names() if name not in LARGE]


@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, shape) for name in SMALL for shape in ((1, 8, 8), (3, 32, 32), (3, 28, 20))]
    + [(name, (1, 8, 8)) for name in LARGE],
)
def test_one_logit_per_class_and_equal_seeds_give_equal_weights(name: str, shape: tuple[int, ...]) -> None:
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(build_model(name, shape, 7))
    assert networks[0](torch.rand(4, *shape)).shape == (4, 7)
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(one, other)


def test_vectors_are_for_the_perceptron_only() -> None:
    assert build_model("mlp", (5,), 3)(torch.rand(2, 5)).shape == (2, 3)
    for name in ("lenet", "paper_cnn"):
        for shape in ((5,), (1, 4, 4)):
            with pytest.raises(InputError, match=f"model.name = '{name}': inputs have shape"):
                build_model(name, shape, 3)


def test_unknown_name_is_refused_with_the_known() -> None:
    with pytest.raises(InputError, match="use one of alexnet_small, lenet, mlp, paper_cnn, resnet110_bn"):
        build_model("resnet", (3, 32, 32), 10)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet20_bn", 0.27), ("resnet32_bn", 0.46), ("resnet56_bn", 0.85), ("wrn28_10", 36.5)],
)
def test_size_is_the_published_one(name: str, millions: float) -> None:
    """He et al. 2016, table 6; Zagoruyko & Komodakis 2016, table 1."""
    with torch.device("meta"):
        network = build_model(name, (3, 32, 32), 10)
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(
        millions, abs=0.01 if millions < 1 else 0.1
    )
