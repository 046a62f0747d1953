"""Networks for images, whose activations may have several rows for each example."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import ConvNeXt, SwinTransformer, VisionTransformer
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

from tests.meta.alignment.layers.exact import assert_exact

C = 5


class _Transposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, stride=2)
        self.up = nn.ConvTranspose2d(4, 4, 3, stride=2, groups=2, output_padding=1)
        self.line = nn.ConvTranspose1d(4, 3, 2, bias=False)
        self.kernel = nn.Parameter(torch.randn(4, 2, 2, 2) / 3)
        self.head = nn.LazyLinear(C)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(functional.relu(self.down(x), inplace=True))
        x = functional.conv2d(x.tanh(), self.kernel, groups=2, padding=1)
        return self.head(self.line(x.flatten(2)).flatten(1))


class _Frames(nn.Module):
    """Rows of an image as a batch of their own: convolution, GroupNorm and linear layers on [N·K, …]."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv1d(1, 6, 3), nn.GroupNorm(2, 6)
        self.mix, self.scale = nn.Linear(6, 6), nn.Parameter(torch.rand(6))
        self.head = nn.Linear(6, C)

    def forward(self, x: Tensor) -> Tensor:
        count = len(x)
        x = self.norm(self.convolution(x.reshape(-1, 1, x.shape[-1]))).mT
        x = self.mix(x.reshape(-1, 6)).tanh() * self.scale
        return self.head(x.view(count, -1, 6).mean(dim=1))


def _vit() -> nn.Module:
    network = VisionTransformer(8, 4, 2, 2, 8, 16, num_classes=C)
    for parameter in (network.heads.head.weight, network.class_token):
        nn.init.normal_(parameter)
    network.conv_proj = nn.Conv2d(1, 8, 4, 4)
    return network


def _swin(**options: object) -> nn.Module:
    network = SwinTransformer(
        [2, 2], 8, [2, 2], [1, 2], [2, 2], stochastic_depth_prob=0.0, num_classes=C, **options
    )
    network.features[0][0] = nn.Conv2d(1, 8, 1)
    return network


def _conv_next() -> nn.Module:
    network = ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], 0.0, 1.0, num_classes=C)
    network.features[0][0] = nn.Conv2d(1, 8, 2, 2)
    return network


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "transposed": _Transposed,
    "frames": _Frames,
    "vit": _vit,
    "swin": _swin,
    "swin_v2": partial(_swin, block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2),
    "conv_next": _conv_next,
}


def images(size: int) -> tuple[Tensor, Tensor]:
    return torch.randn(size, 1, 8, 8, dtype=torch.float64), torch.randint(C, (size,))


@pytest.mark.parametrize("memory", ["lean", "fast"])
@pytest.mark.parametrize("name", BUILDERS)
def test_networks_for_images(name: str, memory: str) -> None:
    torch.manual_seed(0)
    network = BUILDERS[name]().double()
    network(images(2)[0])
    assert_exact(network, images(7), images(3), memory=memory)
