"""Residual networks for small images: ResNet-20, 32, 44, 56 and 110, with BatchNorm or GroupNorm."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.models.registry import MODELS, InputShape, image_shape

Norm = Callable[[int], nn.Module]
_GROUPS = 8
NORMS: dict[str, Norm] = {"bn": nn.BatchNorm2d, "gn": lambda channels: nn.GroupNorm(_GROUPS, channels)}
_DEPTHS = (20, 32, 44, 56, 110)
_WIDTHS = (16, 32, 64)


class _Block(nn.Module):
    """Two convolutions and an identity, which is subsampled and zero-padded where shapes differ."""

    def __init__(self, channels: int, wider: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, wider, 3, stride, padding=1, bias=False)
        self.norm1 = norm(wider)
        self.conv2 = nn.Conv2d(wider, wider, 3, padding=1, bias=False)
        self.norm2 = norm(wider)
        self._stride, self._missing = stride, wider - channels

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.norm1(self.conv1(x)))
        h = self.norm2(self.conv2(h))
        if self._missing:
            x = x[:, :, :: self._stride, :: self._stride]
            x = functional.pad(x, (0, 0, 0, 0, self._missing // 2, self._missing - self._missing // 2))
        return functional.relu(h + x)


def resnet(input_shape: InputShape, classes: int, depth: int, norm: Norm) -> nn.Module:
    """Build a residual network of 6n + 2 layers: three stages of 16, 32 and 64 channels, n blocks each.

    Source: He et al. 2016, section 4.2, with parameter-free shortcuts (option A); Kaiming
    initialisation.
    """
    channels, _, _ = image_shape(f"resnet{depth}", input_shape, smallest=8)
    blocks: list[nn.Module] = []
    width = _WIDTHS[0]
    for wider in _WIDTHS:
        for _ in range((depth - 2) // 6):
            blocks.append(_Block(width, wider, stride=1 if wider == width else 2, norm=norm))
            width = wider
    network = nn.Sequential(
        nn.Conv2d(channels, _WIDTHS[0], 3, padding=1, bias=False),
        norm(_WIDTHS[0]),
        nn.ReLU(),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
    )
    initialise(network)
    return network


@torch.no_grad()
def initialise(network: nn.Module) -> None:
    """Initialise every convolution by Kaiming's rule (He et al. 2015)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def _register(depth: int, name: str) -> None:
    @MODELS.register(f"resnet{depth}_{name}")
    def build(input_shape: InputShape, classes: int) -> nn.Module:
        return resnet(input_shape, classes, depth, NORMS[name])


for _depth in _DEPTHS:
    for _name in NORMS:
        _register(_depth, _name)
