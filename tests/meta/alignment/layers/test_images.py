"""Networks for images, whose activations may have several rows for each example."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import ConvNeXt, SwinTransformer, VisionTransformer
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta import ReweightedStep
from l2rw_ray.meta.alignment.layers import FormingBudget
from l2rw_ray.meta.alignment.layers.convolution import ContractedConvolution, ConvolutionCall
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


class _FromFunctions(nn.Module):
    """Convolutions and normalisations without layers of torch: standardised, padded on one side, frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix = nn.Parameter(torch.randn(6, 1, 3, 3)), nn.Parameter(torch.randn(8, 6, 1, 1))
        self.by_channel, self.wide = (
            nn.Parameter(torch.randn(8, 1, 3, 3)),
            nn.Parameter(torch.randn(8, 4, 3, 3)),
        )
        self.scale, self.shift = nn.Parameter(torch.rand(8)), nn.Parameter(torch.rand(8))
        self.frozen = nn.Parameter(torch.rand(8), requires_grad=False)
        self.register_buffer("mean", torch.randn(8))
        self.register_buffer("variance", torch.rand(8) + 0.5)
        self.head = nn.Linear(8, C)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv2d(functional.pad(x, (0, 1, 0, 1)), self.stem - self.stem.mean())
        x = functional.conv2d(x, self.mix, self.shift)
        x = functional.batch_norm(x, self.mean, self.variance, self.scale, self.shift)
        x = functional.hardtanh_(x, -2, 2)
        x = functional.conv2d(x, self.by_channel, padding=1, groups=8)
        x = functional.group_norm(x, 2, self.scale, self.shift)
        x = functional.batch_norm(x, self.mean, self.variance, self.frozen, self.shift).tanh()
        x = functional.conv2d(x, weight=self.wide * 2, bias=None, padding="same", groups=2)
        x = functional.layer_norm(x.movedim(1, -1), (8,), self.scale * self.shift, eps=0.1)
        return self.head(x.mean(dim=(1, 2)))


class _Frozen(nn.Module):
    """BatchNorm by running statistics, whose scale and shift are trained."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.Conv2d(6, 8, 1), nn.BatchNorm2d(8)),
            *(nn.Tanh(), nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8, affine=False), nn.Flatten(2)),
            *(nn.BatchNorm1d(8), nn.Flatten(1), nn.LazyLinear(6), nn.BatchNorm1d(6)),
        )
        self.head = nn.Linear(6, C)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))

    def train(self, mode: bool = True) -> "_Frozen":
        super().train(mode)
        for layer in self.body:
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()
        return self


def _frozen() -> nn.Module:
    network = _Frozen()
    network(images(32, 16)[0].float())
    for layer in network.body:
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    return network.train()


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


def _narrow() -> nn.Module:
    """Convolutions of one, of few and of many channels, of which some form their gradients."""
    kernel = {"kernel_size": 3, "padding": 1}
    return nn.Sequential(
        nn.Conv2d(1, 3, **kernel),
        nn.Tanh(),
        nn.Conv2d(3, 32, **kernel),
        nn.Tanh(),
        nn.Conv2d(32, 4, 1),
        nn.Conv2d(4, 8, groups=2, **kernel),
        nn.Tanh(),
        nn.Conv2d(8, 8, groups=8, **kernel),
        nn.Flatten(),
        nn.LazyLinear(C),
    )


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "transposed": _Transposed,
    "frames": _Frames,
    "from_functions": _FromFunctions,
    "frozen": _frozen,
    "narrow": _narrow,
    "vit": _vit,
    "swin": _swin,
    "swin_v2": partial(_swin, block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2),
    "conv_next": _conv_next,
}


SIDES = {"from_functions": 16, "frozen": 16, "narrow": 12}
"""In pixels, 8 for the others; convolutions of many positions form their gradients."""


def images(size: int, side: int = 8) -> tuple[Tensor, Tensor]:
    return torch.randn(size, 1, side, side, dtype=torch.float64), torch.randint(C, (size,))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("memory", ["lean", "fast"])
@pytest.mark.parametrize("name", BUILDERS)
def test_networks_for_images(name: str, memory: str, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    network = BUILDERS[name]().double()
    side = SIDES.get(name, 8)
    network(images(2, side)[0])
    network = network.to(memory_format=layout)
    train, meta = ((x.to(memory_format=layout), y) for x, y in (images(7, side), images(3, side)))
    assert_exact(network, train, meta, memory=memory)


@pytest.mark.parametrize(
    ("layer", "is_formed", "is_formed_channels_last"),
    [
        (nn.Conv2d(1, 6, 5, padding=2), True, True),  # one channel lies the same in both layouts
        (nn.Conv2d(3, 16, 3), False, False),
        (nn.Conv2d(3, 32, 3), True, False),
        (nn.Conv2d(3, 32, 3, stride=2), False, False),  # positions are few
        (nn.Conv2d(3, 4, 1), True, True),
        (nn.Conv2d(8, 8, 3), True, True),
        (nn.Conv2d(8, 8, 3, groups=4), False, False),
        (nn.Conv2d(8, 8, 3, groups=8), True, False),
        (nn.Conv2d(8, 8, 5, groups=8), False, False),
        (nn.Conv2d(8, 8, 3).requires_grad_(False), False, False),
    ],
)
def test_which_convolutions_form_their_gradients(
    layer: nn.Conv2d, is_formed: bool, is_formed_channels_last: bool
) -> None:
    """Two to seven input channels are contracted, and so are channels last unless there are many."""
    call = ConvolutionCall(layer, 5, FormingBudget())
    call.prepare(x := torch.randn(7, layer.in_channels, 16, 16))
    assert (call.could_form(x) is not None) == is_formed
    assert (call.could_form(x.to(memory_format=torch.channels_last)) is not None) == is_formed_channels_last


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_inputs_are_held_as_they_are(layout: torch.memory_format) -> None:
    """torch's weight gradient of this kernel corrupts memory where the input's channels were put last."""
    call = ConvolutionCall(nn.Conv2d(4, 64, 1, stride=2), 5, FormingBudget())
    x = torch.randn(7, 4, 24, 24).to(memory_format=layout)
    gradient = torch.randn(7, 12, 12, 64).movedim(-1, 1)
    held = ContractedConvolution(call, x[:5], gradient[:5])._x
    assert held.data_ptr() == x.data_ptr()


class _Along(nn.Module):
    """A convolution along one or three dimensions, whose output gradient lies otherwise in memory."""

    def __init__(self, layer: nn.Module, *, is_transposed: bool) -> None:
        super().__init__()
        self.layer, self.is_transposed = layer, is_transposed
        self.head = nn.LazyLinear(C)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x).flatten(2)
        return self.head((x.mT.tanh().flatten(1)) if self.is_transposed else x.mean(dim=2))


@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("dimensions", [1, 3])
def test_narrow_convolutions_of_other_dimensions(dimensions: int, inputs: int, is_transposed: bool) -> None:
    torch.manual_seed(0)
    kind = {1: nn.Conv1d, 3: nn.Conv3d}[dimensions]
    network = _Along(kind(inputs, 4, 3, padding=1), is_transposed=is_transposed).double()
    side = {1: 140, 3: 6}[dimensions]

    def batch(size: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(size, inputs, *[side] * dimensions, dtype=torch.float64)
        return x, torch.randint(C, (size,))

    train, meta = batch(7), batch(3)
    network(train[0])
    assert_exact(network, train, meta)


class _Templates(nn.Module):
    """Images compared with the features of 21 templates, which are no buffer."""

    def __init__(self, *, by_layer: bool) -> None:
        super().__init__()
        self.templates = torch.randn(21, 1, 8, 8, dtype=torch.float64)
        self.kernel = nn.Parameter(torch.randn(6, 1, 3, 3))
        self.layer = nn.Conv2d(1, 6, 3, stride=2)
        self.layer.requires_grad_(by_layer)
        self.other = nn.Parameter(torch.randn(6, 1, 3, 3), requires_grad=not by_layer)
        self.by_layer = by_layer

    def forward(self, x: Tensor) -> Tensor:
        features = functional.conv2d(x, self.kernel, stride=np.int64(2)).tanh()
        templates = self.templates * 2
        templates = (
            self.layer(templates) if self.by_layer else functional.conv2d(templates, self.other, stride=2)
        )
        return features.flatten(2).mean(dim=2) @ templates.flatten(2).mean(dim=2).t()


def test_constants_with_some_rows_for_each_example() -> None:
    torch.manual_seed(0)
    assert_exact(_Templates(by_layer=False).double(), images(4), images(3), loss=_first_classes)


def _first_classes(output: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(output[:, :C], target, reduction="none")


def test_a_batch_of_another_size_is_checked() -> None:
    """Layers take constants with as many rows as a batch for the batch."""
    torch.manual_seed(0)
    network = _Templates(by_layer=True).double()
    step = ReweightedStep(
        network, torch.optim.SGD(network.parameters(), lr=0.0), _first_classes, estimator="ghost"
    )
    step(images(8), images(8))
    with pytest.raises(UnsupportedModelError, match="estimator = 'ghost': its scores differ from those"):
        step(images(3), images(4))


def test_frozen_batch_norm_of_nothing() -> None:
    class Empty(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.head = nn.BatchNorm2d(1).eval(), nn.Linear(8, C)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x.mean(dim=(1, 2))) + self.norm(x[..., :0]).sum(dim=(1, 2, 3))[:, None]

    torch.manual_seed(0)
    assert_exact(Empty().double(), images(4), images(2))
