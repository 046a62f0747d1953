"""Networks fit their inputs, are reproducible, and are the ones a study file may name."""

import subprocess
import sys
from itertools import pairwise
from typing import get_args

import pytest
import torch
from torch import nn

from l2rw_ray.config.model import TEXT_MODELS, MlpModel, SmallImageModel
from l2rw_ray.errors import InputError
from l2rw_ray.models import MODELS, build_model

PRETRAINED = ("hugging_face",)
"""Networks that come with weights."""


def test_names_are_those_of_the_configuration() -> None:
    sections = (MlpModel, SmallImageModel)
    named = [name for section in sections for name in get_args(section.model_fields["name"].annotation)]
    assert MODELS.names() == tuple(sorted([*named, *TEXT_MODELS, *PRETRAINED]))


LARGE = [name for name in MODELS.names() if name.startswith(("wrn28", "alexnet", "resnet110"))]
SMALL = [name for name in MODELS.names() if name not in (*LARGE, *TEXT_MODELS, *PRETRAINED)]


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


def test_unknown_name_is_refused_with_the_nearest() -> None:
    for name, line in (
        ("lenett", "did you mean 'lenet'"),
        ("resnet19", "did you mean 'resnet"),
        ("own", "use alexnet"),
    ):
        with pytest.raises(InputError, match=f"model.name = '{name}': unknown; {line}"):
            build_model(name, (3, 32, 32), 10)


def test_without_torchvision_the_networks_of_ours_are_left() -> None:
    code = """
import sys
sys.modules["torchvision"] = None
from l2rw_ray.errors import InputError
from l2rw_ray.models import build_model
build_model("lenet", (1, 8, 8), 3)
try:
    build_model("efficientnet_b0", (3, 32, 32), 3)
except InputError as error:
    assert "torchvision, which has more, is not installed" in str(error)
else:
    raise SystemExit("built")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_width_and_depth_of_the_perceptron() -> None:
    network = build_model("mlp", (3, 4), 5, MlpModel(name="mlp", width=7, depth=3).options)
    shapes = [tuple(p.shape) for p in network.parameters() if p.dim() == 2]
    assert shapes == [(7, 12), (7, 7), (7, 7), (5, 7)]
    torch.manual_seed(0)
    default = build_model("mlp", (12,), 5, MlpModel(name="mlp").options)
    torch.manual_seed(0)
    parts = nn.Flatten(), nn.Linear(12, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 5)
    as_ever = nn.Sequential(*parts)
    for one, other in zip(default.parameters(), as_ever.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("resnet20_bn", 0.27),
        ("resnet32_bn", 0.46),
        ("resnet44_bn", 0.66),
        ("resnet56_bn", 0.85),
        ("resnet110_bn", 1.73),
        ("wrn16_1", 0.2),
        ("wrn16_2", 0.7),
        ("wrn16_4", 2.7),
        ("wrn28_10", 36.5),
    ],
)
def test_size_is_the_published_one(name: str, millions: float) -> None:
    """He et al. 2016, table 6 (110 layers: 1.7M); Zagoruyko & Komodakis 2016, tables 4 and 5."""
    size = _parameters(name) / 1e6
    assert size == pytest.approx(millions, abs=0.01 if name.startswith("resnet") else 0.1)
    with_groups = name.replace("_bn", "_gn") if name.endswith("_bn") else f"{name}_gn"
    assert _parameters(with_groups) == _parameters(name), "GroupNorm has as many as BatchNorm"


def test_layers_are_those_of_the_papers() -> None:
    """LeNet-5 with 32×32 inputs: LeCun et al. 1998 but for C3's full table; arXiv:2405.06859."""
    convolutions, linears = _layers("alexnet_small")
    assert [layer.out_channels for layer in convolutions] == [64, 192, 384, 256, 256]
    assert [layer.out_features for layer in linears] == [4096, 4096, 10]
    channels, sizes = (3, 64, 192, 384, 256, 256), (256 * 4 * 4, 4096, 4096, 10)
    by_hand = sum((9 * narrow + 1) * wide for narrow, wide in pairwise(channels))
    by_hand += sum((narrow + 1) * wide for narrow, wide in pairwise(sizes))
    assert _parameters("alexnet_small") == by_hand
    convolutions, linears = _layers("lenet")
    assert [(layer.out_channels, layer.kernel_size) for layer in convolutions] == [(6, (5, 5)), (16, (5, 5))]
    assert [layer.out_features for layer in linears] == [120, 84, 10]
    convolutions, linears = _layers("paper_cnn")
    assert [layer.out_channels for layer in convolutions] == [32, 64, 128]
    assert [layer.out_features for layer in linears] == [256, 10]


def _parameters(name: str) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(name, (3, 32, 32), 10).parameters())


def _layers(name: str) -> tuple[list[nn.Conv2d], list[nn.Linear]]:
    with torch.device("meta"):
        layers = list(build_model(name, (3, 32, 32), 10).modules())
    kinds = nn.Conv2d, nn.Linear
    return tuple([layer for layer in layers if isinstance(layer, kind)] for kind in kinds)
