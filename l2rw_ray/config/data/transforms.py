"""Transforms of images, and what their pixels are normalised by."""

import difflib
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, ValidationError, field_validator, model_validator

from l2rw_ray.config.data.transform_names import MIXING, REQUIRED, SAME_FOR_ALL, TRANSFORMS
from l2rw_ray.config.section import Section, conflict

MAX_REPEATS = 100
"""Largest number of times that an image is transformed, each of which takes a pass over it."""
_MIN_REPEATS = {"mixture_width": 1, "chain_depth": -1, "num_ops": 1}
"""Options that say how often an image is transformed, and their smallest values, which torchvision does not
check. A depth of -1 is drawn; 0 is none of any."""
_PIXELS = 255
_MAX_VALUES = {"fill": _PIXELS, "value": _PIXELS, "threshold": _PIXELS, "bits": 8}
"""Options whose values must lie between 0 and these numbers; torchvision reads others differently."""
_MAGNITUDE_BINS = 31
_MAGNITUDES = {"RandAugment": 9}
"""torchvision's defaults; 0 where there is another parameter instead."""
_ARE_TENSORS = "leave it out: images become tensors anyway"
_ARE_NUMBERS = "leave it out: pixels become numbers of the network's type anyway"
_REPLACEMENTS = {
    "Normalize": "set data.normalize: {mean: […], std: […]}",
    "ToTensor": _ARE_TENSORS,
    "PILToTensor": _ARE_TENSORS,
    "ToImage": _ARE_TENSORS,
    "ToPILImage": _ARE_TENSORS,
    "ToDtype": _ARE_NUMBERS,
    "ConvertImageDtype": _ARE_NUMBERS,
    "Compose": "list its transforms",
}
"""What stands for transforms that pipelines elsewhere begin or end with."""


class Transform(Section):
    """A transform of `torchvision.transforms.v2`: its name alone, or its name with its options beside it."""

    name: str
    """Name of the transform, such as `RandomHorizontalFlip`."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Options, which may also stand beside the name: `{name: RandomCrop, size: 32, padding: 4}`. Modes of
    interpolation and policies are written as text, such as `bicubic` and `cifar10`."""

    @model_validator(mode="before")
    @classmethod
    def _options_stand_beside_the_name(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"name": given}
        if isinstance(given, dict) and isinstance(given.get("options", {}), dict):
            beside = {key: value for key, value in given.items() if key not in ("name", "options")}
            kept = {key: value for key, value in given.items() if key == "name"}
            return {**kept, "options": {**given.get("options", {}), **beside}}
        return given

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.name in MIXING:
            problem = "it makes one image of two, which then have no weight, label or score of their own"
            raise conflict("name", self.name, problem, "leave it out, or compare with method.name: mixup")
        if self.name not in TRANSFORMS:
            if self.name in _REPLACEMENTS:
                raise conflict("name", self.name, "done without a transform", _REPLACEMENTS[self.name])
            near = difflib.get_close_matches(self.name, TRANSFORMS, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(TRANSFORMS)}"
            raise conflict("name", self.name, "no transform of one image in torchvision", remedy)
        known = TRANSFORMS[self.name]
        for option, value in self.options.items():
            if option not in known:
                remedy = f"use one of {', '.join(known)}" if known else "it has none"
                raise conflict(option, value, f"no option of {self.name}", remedy)
            least = _MIN_REPEATS.get(option)
            if least is not None and isinstance(value, int) and not _is_repeat(value, least):
                remedy = f"use {'-1, or ' if least < 0 else ''}1 to {MAX_REPEATS}"
                raise conflict(option, value, "no number of passes over an image", remedy)
            largest = _MAX_VALUES.get(option)
            if largest is not None and not _are_within(value, largest):
                raise conflict(option, value, "out of range", f"use a number from 0 to {largest}, or several")
        self._check_magnitude()
        for option in REQUIRED.get(self.name, ()):
            if option not in self.options:
                raise conflict(option, None, f"{self.name} needs it", f"add {option}")
        return self

    def _check_magnitude(self) -> None:
        """Check the index into torchvision's list of magnitudes; a negative one would count from the end."""
        bins = self.options.get("num_magnitude_bins", _MAGNITUDE_BINS)
        if type(bins) is not int or bins < 2:
            raise conflict("num_magnitude_bins", bins, "no number of magnitudes", "use an integer from 2 on")
        magnitude = self.options.get("magnitude", _MAGNITUDES.get(self.name, 0))
        if type(magnitude) is not int or not 0 <= magnitude < bins:
            remedy = f"use an integer from 0 to {bins - 1}"
            raise conflict("magnitude", magnitude, f"none of {bins} magnitudes", remedy)

    def __hash__(self) -> int:
        """Hash equal transforms equally, though options are a dictionary."""
        return hash((self.name, *sorted(self.options)))


def _is_repeat(value: int, least: int) -> bool:
    return (least <= value and value != 0) and value <= MAX_REPEATS


def _are_within(value: JsonValue, largest: int) -> bool:
    """Return whether a value is null, a number from 0 to the largest, or a list of such."""
    if isinstance(value, list):
        return all(_are_within(each, largest) for each in value)
    if isinstance(value, bool):
        return False
    return value is None or (isinstance(value, int | float) and 0 <= value <= largest)


class Transforms(Section):
    """What is done to images when a batch is taken, before they are normalised."""

    train: tuple[Transform, ...] = ()
    """Transforms of train images, in their order, drawn anew for each image and step by the trial's seed: all
    methods see the same. Images of the meta, validation and test sets get those of `evaluate`."""
    evaluate: tuple[Transform, ...] = ()
    """Transforms of images that are evaluated, and of the meta set: such as draw nothing at random. Sizes
    have to be those that `train` gives."""

    @model_validator(mode="after")
    def _evaluation_draws_nothing(self) -> Self:
        for place, each in enumerate(self.evaluate):
            if each.name not in SAME_FOR_ALL:
                remedy = f"use {', '.join(SAME_FOR_ALL)}, or name it in train"
                raise conflict(f"evaluate[{place}].name", each.name, "it draws at random", remedy)
        return self


_Channel = Annotated[float, Field(ge=0, le=1)]
_Spread = Annotated[float, Field(gt=0, le=1)]


class PixelStatistics(Section):
    """Mean and deviation of each channel, of pixels from 0 to 1."""

    mean: tuple[_Channel, ...] = Field(min_length=1)
    """Mean of each channel."""
    std: tuple[_Spread, ...] = Field(min_length=1)
    """Standard deviation of each channel."""

    @model_validator(mode="after")
    def _channels_agree(self) -> Self:
        if len(self.mean) != len(self.std):
            raise conflict(
                "std", list(self.std), f"mean has {len(self.mean)}", "give one of each per channel"
            )
        return self


Normalize = Literal["data", "weights"] | PixelStatistics | None
_NAMES = ("data", "weights")


class ImageOptions(Section):
    """How images are changed and scaled when a batch is taken."""

    transforms: Transforms = Transforms()
    """Transforms of images by torchvision, in place of `augment`."""
    normalize: Normalize = None
    """What pixels are normalised by: `data`, mean and deviation of the train images as they are stored, by
    channel; `weights`, those that `model.weights` were trained with; or a section of both. Null scales them
    to [−1, 1]."""
    num_workers: int = Field(default=0, ge=0)
    """Processes beside each worker that transform the images of the next batches while it trains; 0
    transforms them between two steps. Changes no result."""

    @field_validator("normalize", mode="before")
    @classmethod
    def _statistics_are_told_apart(cls, given: Any) -> Any:
        if given is None or isinstance(given, PixelStatistics) or given in _NAMES:
            return given
        if not isinstance(given, dict):
            remedy = "use 'data', 'weights' or {mean: […], std: […]}"
            raise conflict("", given, "unknown", remedy)
        try:
            return PixelStatistics.model_validate(given)
        except ValidationError as error:  # of the section alone, not of the names that might stand instead
            first = error.errors()[0]
            context = first.get("ctx", {})
            place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
            field = context.get("field", place.removeprefix("."))
            problem, value = (
                context.get("problem", first["msg"].lower()),
                context.get("value", first["input"]),
            )
            remedy = "give {mean: […], std: […]} of pixels from 0 to 1"
            raise conflict(field, value, problem, context.get("remedy", remedy)) from error

    @model_validator(mode="after")
    def _workers_have_work(self) -> Self:
        if self.num_workers and self.transforms == Transforms():
            problem = "it is for transforms, and there are none"
            raise conflict("num_workers", self.num_workers, problem, "leave it out")
        return self

    @property
    def changes_images(self) -> bool:
        """Whether anything here is for images alone."""
        return self.transforms != Transforms() or self.normalize is not None
