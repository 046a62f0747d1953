"""A small CNN like that of arXiv:2405.06859, sized for a CPU."""

from torch import nn

from l2rw_ray.models.registry import MODELS, InputShape, image_shape

_CHANNELS = (32, 64, 128)
_HIDDEN = 256


@MODELS.register("paper_cnn")
def paper_cnn(input_shape: InputShape, classes: int) -> nn.Module:
    """Build three blocks of 3×3 convolution, ReLU and max pooling (32, 64, 128 channels), then 256 units.

    A smaller stand-in for the AlexNet variant (64-192-384-256-256, FC 4096-4096) whose CIFAR-10
    results arXiv:2405.06859 reports; like it, it has no normalisation layers.
    """
    channels, height, width = image_shape("paper_cnn", input_shape, smallest=8)
    blocks: list[nn.Module] = []
    for wider in _CHANNELS:
        blocks += [nn.Conv2d(channels, wider, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = wider
    return nn.Sequential(
        *blocks,
        nn.Flatten(),
        nn.Linear(channels * (height // 8) * (width // 8), _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, classes),
    )
