"""The AlexNet variant for small images that arXiv:2405.06859 trains."""

from torch import nn

from l2rw_ray.models.registry import MODELS, InputShape, image_shape

_WIDTHS = (64, 192, 384, 256, 256)
_POOLED = (0, 1, 4)
_HIDDEN = 4096


@MODELS.register("alexnet_small")
def alexnet_small(input_shape: InputShape, classes: int) -> nn.Module:
    """Build convolutions of 64, 192, 384, 256 and 256 channels, and layers of 4096, 4096 and the classes.

    Source: arXiv:2405.06859; 3×3 kernels, and pooling after the first, second and last convolution.
    """
    channels, height, width = image_shape("alexnet_small", input_shape, smallest=8)
    layers: list[nn.Module] = []
    for number, wider in enumerate(_WIDTHS):
        layers += [nn.Conv2d(channels, wider, 3, padding=1), nn.ReLU()]
        if number in _POOLED:
            layers.append(nn.MaxPool2d(2))
        channels = wider
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(channels * (height // 8) * (width // 8), _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, classes),
    )
