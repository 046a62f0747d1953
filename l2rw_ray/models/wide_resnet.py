"""Wide residual networks for small images, with BatchNorm or GroupNorm."""

from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.models.registry import MODELS, InputShape, image_shape
from l2rw_ray.models.resnet import NORMS, Norm, initialise

_WIDTHS = (16, 32, 64)


class _Block(nn.Module):
    """Normalise, rectify and convolve, twice, and add an identity or a 1×1 convolution."""

    def __init__(self, channels: int, wider: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(channels), norm(wider)
        self.conv1 = nn.Conv2d(channels, wider, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(wider, wider, 3, padding=1, bias=False)
        self.shortcut = None
        if channels != wider:
            self.shortcut = nn.Conv2d(channels, wider, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.norm1(x))
        beside = x if self.shortcut is None else self.shortcut(h)
        h = self.conv1(h)
        out: Tensor = beside + self.conv2(functional.relu(self.norm2(h)))
        return out


def wide_resnet(input_shape: InputShape, classes: int, depth: int, width: int, norm: Norm) -> nn.Module:
    """Build a pre-activation residual network of 6n + 4 layers with stages `width` times as wide.

    Source: Zagoruyko & Komodakis 2016, without dropout.
    """
    channels, _, _ = image_shape(f"wrn{depth}_{width}", input_shape, smallest=8)
    blocks: list[nn.Module] = []
    before = _WIDTHS[0]
    for stage, base in enumerate(_WIDTHS):
        for number in range((depth - 4) // 6):
            stride = 2 if stage and not number else 1
            blocks.append(_Block(before, base * width, stride, norm))
            before = base * width
    network = nn.Sequential(
        nn.Conv2d(channels, _WIDTHS[0], 3, padding=1, bias=False),
        *blocks,
        norm(before),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(before, classes),
    )
    initialise(network)
    return network


def _register(depth: int, width: int, name: str, norm: str) -> None:
    @MODELS.register(name)
    def build(input_shape: InputShape, classes: int) -> nn.Module:
        return wide_resnet(input_shape, classes, depth, width, NORMS[norm])


for _depth, _width in ((16, 1), (16, 2), (16, 4), (28, 10)):
    _register(_depth, _width, f"wrn{_depth}_{_width}", "bn")
    _register(_depth, _width, f"wrn{_depth}_{_width}_gn", "gn")
