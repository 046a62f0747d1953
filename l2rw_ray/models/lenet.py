"""LeNet-5 with ReLU and max pooling, for images of 8×8 and more."""

from torch import nn

from l2rw_ray.models.registry import MODELS, InputShape, image_shape


@MODELS.register("lenet")
def lenet(input_shape: InputShape, classes: int) -> nn.Module:
    """Build convolutions of 6 and 16 channels and fully connected layers of 120 and 84.

    Source: LeCun et al. 1998, as commonly modernised: ReLU, max pooling, 'same' padding so that
    8×8 images survive two poolings.
    """
    channels, height, width = image_shape("lenet", input_shape, smallest=8)
    return nn.Sequential(
        nn.Conv2d(channels, 6, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (height // 4) * (width // 4), 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )
