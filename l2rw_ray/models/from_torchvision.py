"""Classification models of torchvision, adapted to the source's images.

They are built without trained weights and without auxiliary classifiers. For images whose shorter side is
below 64, or where that is asked for, the stem keeps the size: in ResNet, ResNeXt, Wide ResNet and
DenseNet it becomes a 3×3 convolution of stride 1 without pooling; in the others whose first convolution
is 3×3 (EfficientNet, MobileNet, MNASNet, RegNet, ShuffleNet, SqueezeNet 1.1, Inception) that has
stride 1. The rest (AlexNet, ConvNeXt, GoogLeNet, SqueezeNet 1.0, Swin, VGG, ViT) stay as they are. A
forward pass on the meta device rejects sizes that a model does not support, such as below 63×63 for
AlexNet, images that are no square of whole patches for ViT, and sizes not divisible by MaxViT's windows.
"""

from functools import cache, partial
from typing import Any

from torch import nn

from l2rw_ray.models.image_check import forward_shapes, size_error
from l2rw_ray.models.registry import Builder, InputShape, image_shape

_SMALL = 64
"""Shorter side below which the stem keeps the size of the images."""
_CHANNELS = 3
_GROUPS = 32
"""Groups of GroupNorm, as in Wu & He 2018."""
_GN = "_gn"
_GN_DEPTHS = (18, 34, 50, 101, 152)


@cache
def torchvision_names() -> tuple[str, ...]:
    """Return the names that `torchvision_builder` accepts, sorted; none without torchvision."""
    try:
        from torchvision import models
    except ModuleNotFoundError:
        return ()
    with_groups = [f"resnet{depth}{_GN}" for depth in _GN_DEPTHS]
    return tuple(sorted([*models.list_models(module=models), *with_groups]))


def torchvision_builder(name: str) -> Builder:
    """Return the builder of a network by its name, one of `torchvision_names`."""
    return partial(_build, name)


def _build(name: str, input_shape: InputShape, classes: int, *, small_stem: bool | None = None) -> nn.Module:
    image_shape(name, input_shape, smallest=1)
    try:
        network = _fitted(name, input_shape, classes, small_stem)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise size_error(name, input_shape, error) from error
    forward_shapes(name, network, input_shape)
    return network


def _fitted(name: str, input_shape: InputShape, classes: int, small_stem: bool | None) -> nn.Module:
    from torchvision import models

    channels, height, width = input_shape
    network: nn.Module = models.get_model(
        name.removesuffix(_GN), weights=None, num_classes=classes, **_arguments(name, height, width)
    )
    if min(height, width) < _SMALL if small_stem is None else small_stem:
        _keep_size(network, channels)
    elif channels != _CHANNELS:
        path, first = _first_convolution(network)
        network.set_submodule(path, _stem(first, channels))
    return network


def _arguments(name: str, height: int, width: int) -> dict[str, Any]:
    if name.endswith(_GN):
        return {"norm_layer": partial(nn.GroupNorm, _GROUPS)}
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": height}
    return {"input_size": (height, width)} if name.startswith("maxvit") else {}


def _keep_size(network: nn.Module, channels: int) -> None:
    from torchvision.models import DenseNet, ResNet

    path, first = _first_convolution(network)
    if isinstance(network, ResNet | DenseNet):
        network.set_submodule(path, _stem(first, channels, kernel_size=3, stride=1, padding=1))
        network.set_submodule("maxpool" if isinstance(network, ResNet) else "features.pool0", nn.Identity())
    elif first.kernel_size == (3, 3) and first.stride != (1, 1):
        network.set_submodule(path, _stem(first, channels, stride=1))
    elif channels != _CHANNELS:
        network.set_submodule(path, _stem(first, channels))


def _first_convolution(network: nn.Module) -> tuple[str, nn.Conv2d]:
    return next((path, layer) for path, layer in network.named_modules() if isinstance(layer, nn.Conv2d))


def _stem(replaced: nn.Conv2d, channels: int, **changes: Any) -> nn.Conv2d:
    """Return a first convolution like another, for a number of channels, with Kaiming initialisation."""
    kept = {name: getattr(replaced, name) for name in ("kernel_size", "stride", "padding")}
    layer = nn.Conv2d(channels, replaced.out_channels, **(kept | changes), bias=replaced.bias is not None)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
