"""Mean and deviation of the images that weights were trained on."""

from collections.abc import Sequence

from l2rw_ray.config.model import HuggingFaceModel, Model, TimmModel, TorchvisionModel
from l2rw_ray.errors import ConfigError
from l2rw_ray.models.pretrained.from_timm import TimmBuilder
from l2rw_ray.models.pretrained.hugging_face import image_statistics as of_hugging_face

_FIELD = "data.normalize"
_CENTRED = ("googlenet", "inception_v3")
"""Networks that torchvision's releases bring back from the statistics of the others to those of their own."""
Statistics = tuple[Sequence[float], Sequence[float]]


def image_statistics(config: Model) -> Statistics:
    """Return mean and deviation of each channel, of pixels from 0 to 1, that weights were trained with.

    Of a file these are those that timm or torchvision give for the network, whose release it then should be.

    Args:
        config: The `model` section.

    Raises:
        ConfigError: They are not known.
    """
    found: Statistics | None = None
    match config:
        case HuggingFaceModel():
            found = of_hugging_face(config.weights)
        case TimmModel():
            known = TimmBuilder(config.name).config
            found = (known["mean"], known["std"]) if "mean" in known and "std" in known else None
        case TorchvisionModel():
            found = _of_torchvision(config.name, config.weights)
    if found is None:
        problem = f"what images {config.name} was trained on is not known"
        raise ConfigError(_FIELD, "weights", problem, "give {mean: […], std: […]}")
    return found


def _of_torchvision(name: str, weights: str | None) -> Statistics | None:
    from torchvision import models

    try:
        releases = list(models.get_model_weights(name))
    except ValueError:
        return None
    if not releases:
        return None
    if name in _CENTRED:
        return (0.5,) * 3, (0.5,) * 3
    named = [release for release in releases if release.name == weights]
    transforms = (named or releases)[0].transforms()
    return transforms.mean, transforms.std
