"""Transforms of images by torchvision, a function of the trial's seed, the step and the image's place in it.

Shape suffixes: B batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from l2rw_ray.config.data.transforms import Transform, Transforms
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.errors import DataError, first_line

_MAX_SEED = 2**63 - 1
_FIELD = "trial.data.transforms"


def draw_seeds(seed: int, epoch: int, step: int, count: int, purpose: str = "transforms") -> Tensor:
    """Draw a seed for each image of a train batch; a function of its arguments alone.

    Args:
        seed: The trial's seed.
        epoch: Passes before this one.
        step: Steps of this pass before this one.
        count: B, images on all ranks together.
        purpose: Names the stream of draws.

    Returns:
        int64 [B].
    """
    return torch.randint(_MAX_SEED, (count,), generator=rng_for(seed, purpose, epoch, step))


@dataclass(frozen=True)
class ImageTransforms:
    """The transforms of a set.

    Attributes:
        config: Which.
        stored_shape: Shape of an image as it is stored, (C, H, W).
        augments: Whether the set is trained on with `config.train`.
    """

    config: Transforms
    stored_shape: tuple[int, ...]
    augments: bool = False

    @property
    def is_random(self) -> bool:
        """Whether images that are trained on are transformed otherwise than those that are evaluated."""
        return bool(self.config.train)

    def check(self) -> None:
        """Try all transforms on an image.

        Raises:
            DataError: torchvision refuses an option, or images do not come out alike.
        """
        for part in ("train", "evaluate"):
            for place, each in enumerate(getattr(self.config, part)):
                _built(each, f"{_FIELD}.{part}[{place}]")
        shape = self.shape
        if not self.config.train:
            return
        image = torch.zeros((1, *self.stored_shape), dtype=torch.uint8)
        try:
            found = self.augmented(image, torch.zeros(1, dtype=torch.int64))
        except (RuntimeError, TypeError, ValueError) as error:
            raise self._refused("train", error) from error
        if found.dtype != torch.uint8 or tuple(found.shape[1:]) != shape:
            problem = f"images come out as {list(found.shape[1:])}, those that are evaluated as {list(shape)}"
            remedy = "let both end in one size"
            raise DataError(f"{_FIELD}.train", [each.name for each in self.config.train], problem, remedy)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image that is evaluated, (C, H, W).

        Raises:
            DataError: The transforms do not take such images.
        """
        try:
            found = self.evaluated(torch.zeros((1, *self.stored_shape), dtype=torch.uint8))
        except (RuntimeError, TypeError, ValueError) as error:
            raise self._refused("evaluate", error) from error
        return tuple(found.shape[1:])

    def augmented(self, images: Tensor, seeds_B: Tensor) -> Tensor:
        """Return train images transformed, each by the draws of its seed.

        Args:
            images: uint8 [B, C, H, W], on the CPU.
            seeds_B: As of `draw_seeds`.

        Returns:
            uint8 [B, C, H', W'].
        """
        if not len(images):
            return images.new_zeros((0, *self.shape))
        changed = []
        with torch.random.fork_rng(devices=[]):
            for image, seed in zip(images, seeds_B.tolist(), strict=True):
                torch.default_generator.manual_seed(seed)
                for transform in self._train:
                    image = transform(image)
                changed.append(image)
        return torch.stack(changed)

    def evaluated(self, images: Tensor) -> Tensor:
        """Return images transformed as they are evaluated, uint8 [B, C, H', W']."""
        for transform in self._evaluate:
            images = transform(images)
        return images

    @cached_property
    def _train(self) -> Sequence[Any]:
        return [_built(each, f"{_FIELD}.train") for each in self.config.train]

    @cached_property
    def _evaluate(self) -> Sequence[Any]:
        return [_built(each, f"{_FIELD}.evaluate") for each in self.config.evaluate]

    def _refused(self, part: str, error: Exception) -> DataError:
        names = [each.name for each in getattr(self.config, part)]
        problem = (
            f"torchvision does not apply them to images of {list(self.stored_shape)} ({first_line(error)})"
        )
        return DataError(f"{_FIELD}.{part}", names, problem, "change their options")


def _built(transform: Transform, field: str) -> Any:
    """Build a transform of torchvision.

    Raises:
        DataError: It refuses an option.
    """
    from torchvision.transforms import v2

    try:
        options = {name: _value(name, value) for name, value in transform.options.items()}
        return getattr(v2, transform.name)(**options)
    except (TypeError, ValueError, AttributeError) as error:
        problem = f"torchvision refuses its options ({first_line(error)})"
        raise DataError(field, transform.name, problem, "change them") from error


def _value(name: str, given: Any) -> Any:
    """Return the value of an option: text that stands for a member of an enumeration becomes that."""
    from torchvision.transforms import AutoAugmentPolicy, InterpolationMode

    if name == "interpolation":
        return InterpolationMode(given)
    return AutoAugmentPolicy(given) if name == "policy" else given
