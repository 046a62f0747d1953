"""Give the sets of images their transforms, and what their pixels are normalised by."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from l2rw_ray.config.data.sources import Data
from l2rw_ray.config.data.transforms import PixelStatistics, Transforms
from l2rw_ray.data.examples import ExampleSet
from l2rw_ray.data.transforms import ImageTransforms
from l2rw_ray.errors import DataError

_AT_A_TIME = 1024
_PIXELS = 255


def with_image_options(sets: dict[str, ExampleSet], config: Data) -> dict[str, ExampleSet]:
    """Return the sets of a trial with the transforms and the pixel statistics of its data section.

    Args:
        sets: By name, `train` among them.
        config: The section; statistics of weights are left to `normalised`.

    Raises:
        DataError: Inputs are no images, or transforms or statistics do not suit them.
    """
    if not config.changes_images:
        return sets
    train = sets["train"]
    if not (isinstance(train.inputs, Tensor) and train.inputs.dtype == torch.uint8):
        field, value = ("normalize", str(config.normalize)) if config.normalize else ("transforms", "given")
        kind = "feature vectors" if isinstance(train.inputs, Tensor) else "no tensor"
        raise DataError(f"trial.data.{field}", value, f"inputs are {kind}, not images", "leave it out")
    if config.transforms != Transforms():
        transforms = ImageTransforms(config.transforms, tuple(train.inputs.shape[1:]))
        transforms.check()
        sets = {name: replace(examples, transforms=transforms) for name, examples in sets.items()}
        if config.transforms.train:
            sets["train"] = replace(sets["train"], transforms=replace(transforms, augments=True))
    match config.normalize:
        case "data":
            return _scaled(sets, *_measured(train))
        case PixelStatistics(mean=mean, std=std):
            return _scaled(sets, *_checked(train, mean, std))
    return sets


def normalised(
    sets: dict[str, ExampleSet], mean: Sequence[float], std: Sequence[float]
) -> dict[str, ExampleSet]:
    """Return sets of images whose pixels are normalised by mean and deviation of each channel.

    Args:
        sets: By name, `train` among them.
        mean: Of pixels from 0 to 1.
        std: Of these.

    Raises:
        DataError: Images have another number of channels.
    """
    return _scaled(sets, *_checked(sets["train"], mean, std))


def _scaled(sets: dict[str, ExampleSet], mean_C: Tensor, std_C: Tensor) -> dict[str, ExampleSet]:
    mean, std = (each.float()[:, None, None] for each in (mean_C, std_C))
    return {name: replace(examples, pixel_mean=mean, pixel_std=std) for name, examples in sets.items()}


def _checked(train: ExampleSet, mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    channels = train.input_shape[0]
    if len(mean) != channels:
        problem = f"{len(mean)} channels, images have {channels}"
        remedy = "give as many, or read images by image_mode"
        raise DataError("trial.data.normalize", list(mean), problem, remedy)
    return torch.tensor(mean), torch.tensor(std)


def _measured(train: ExampleSet) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of the train images by channel, before transforms, in float64, [C] each."""
    if train.is_streamed:
        problem = "with data.stream the images are read batch by batch"
        raise DataError("trial.data.normalize", "data", problem, "give {mean: […], std: […]}")
    sums, squares, count = 0, 0, 0
    for index in torch.arange(len(train)).split(_AT_A_TIME):
        pixels = train.inputs_of(index).transpose(0, 1).flatten(1).long()
        sums, squares = sums + pixels.sum(dim=1), squares + pixels.square().sum(dim=1)
        count += pixels.shape[1]
    mean_C = torch.as_tensor(sums).double() / count
    std_C = (torch.as_tensor(squares).double() / count - mean_C.square()).clamp_min(0).sqrt()
    std_C = torch.where(
        std_C > 0, std_C, torch.full_like(std_C, _PIXELS / 2)
    )  # a constant channel stays small
    return mean_C / _PIXELS, std_C / _PIXELS
