"""Networks of torchvision fit the source's images, are reproducible, and are scored exactly."""

from typing import get_args

import pytest
import torch
from torch import nn

from l2rw_ray.config.model import TorchvisionModel
from l2rw_ray.errors import InputError
from l2rw_ray.meta import example_scores
from l2rw_ray.meta.reference import reference_scores
from l2rw_ray.models import build_model
from l2rw_ray.models.from_torchvision import torchvision_names


def test_names_are_those_of_the_configuration() -> None:
    assert torchvision_names() == get_args(TorchvisionModel.model_fields["name"].annotation)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *(("resnet18", shape) for shape in ((1, 8, 8), (3, 28, 20), (1, 64, 64))),
        *((name, (1, 28, 28)) for name in ("efficientnet_b0", "mobilenet_v3_small", "regnet_y_400mf")),
        *((name, (3, 32, 32)) for name in ("resnet18_gn", "densenet121", "googlenet", "shufflenet_v2_x0_5")),
    ],
)
def test_one_logit_per_class_and_equal_seeds_give_equal_weights(name: str, shape: tuple[int, ...]) -> None:
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(build_model(name, shape, 7))
    assert networks[0].training
    for one, other in zip(*(network.state_dict().values() for network in networks), strict=True):
        assert torch.equal(one, other), "and finding out the size wrote nothing"
    assert networks[0](torch.rand(2, *shape)).shape == (2, 7)


def _strides(name: str, side: int) -> int:
    """How many pixels of an image a stem takes for one."""
    network = build_model(name, (3, side, side), 5)
    if hasattr(network, "layer1"):
        stem = nn.Sequential(network.conv1, network.maxpool)
    elif name.startswith("densenet"):
        stem = nn.Sequential(network.features.conv0, network.features.pool0)
    else:
        stem = network.features[0]
    return side // stem(torch.rand(1, 3, side, side)).shape[-1]


@pytest.mark.parametrize(
    ("name", "large"), [("resnet18", 4), ("densenet121", 4), ("mobilenet_v2", 2), ("efficientnet_b0", 2)]
)
def test_stems_keep_the_size_of_small_images_only(name: str, large: int) -> None:
    assert (_strides(name, 32), _strides(name, 64)) == (1, large)


def test_large_images_of_three_channels_get_the_network_of_torchvision() -> None:
    """He et al. 2016: 11.69M parameters with 1,000 classes."""
    assert sum(p.numel() for p in build_model("resnet18", (3, 224, 224), 1000).parameters()) == 11_689_512
    network = build_model("resnet18_gn", (3, 224, 224), 1000)
    assert sum(p.numel() for p in network.parameters()) == 11_689_512
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


@pytest.mark.parametrize(
    ("name", "shape", "line"),
    [
        (
            "alexnet",
            (3, 32, 32),
            r"model.name = 'alexnet': it does not support images of 32×32 \(Given input",
        ),
        ("vgg11", (1, 28, 28), r"does not support images of 28×28 .*; use one that does, such as 'resnet18'"),
        ("vit_b_32", (3, 40, 40), "Input shape indivisible by patch size"),
        ("resnet18", (5,), "inputs have shape"),
    ],
)
def test_images_it_cannot_treat_are_refused(name: str, shape: tuple[int, ...], line: str) -> None:
    with pytest.raises(InputError, match=line) as raised:
        build_model(name, shape, 3)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "squeezenet1_1"])
def test_scores_are_exact(name: str) -> None:
    torch.manual_seed(0)
    network = build_model(name, (3, 16, 16), 4).double()
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    loss = nn.CrossEntropyLoss(reduction="none")
    train, meta = ((torch.rand(n, 3, 16, 16).double(), torch.randint(4, (n,))) for n in (4, 3))
    expected_B = reference_scores(network, loss, train, meta)
    torch.testing.assert_close(example_scores(network, loss, train, meta), expected_B)
    assert not torch.allclose(expected_B, expected_B.roll(1))
