"""Networks of the package timm, fitted to the source's images."""

from typing import Any

from torch import nn

from l2rw_ray.errors import ConfigError, first_line
from l2rw_ray.import_path import TIMM
from l2rw_ray.models.image_check import forward_shapes
from l2rw_ray.models.pretrained.filling import LoadedWeights
from l2rw_ray.models.pretrained.state_files import FIELD as WEIGHTS
from l2rw_ray.models.registry import FIELD, InputShape, image_shape


def timm_builder(name: str) -> "TimmBuilder":
    """Return the builder of a network by its name, `timm:…`."""
    return TimmBuilder(name)


class TimmBuilder:
    """Builds one network of timm, freshly initialised or with the weights that timm knows for it.

    Args:
        name: `timm:` and the name of an architecture, with or without a tag of weights.
    """

    def __init__(self, name: str) -> None:
        self._name, self._architecture = name, name.removeprefix(TIMM)

    def __call__(self, input_shape: InputShape, classes: int, *, pretrained: bool = False) -> nn.Module:
        """Build it for images of one shape.

        Args:
            input_shape: (channels, height, width).
            classes: Outputs.
            pretrained: Whether to take timm's weights, from its cache or the network.

        Raises:
            ConfigError: timm does not know it, it does not take such images, or there are no weights.
        """
        channels, height, width = image_shape(self._name, input_shape, smallest=1)
        arguments: dict[str, Any] = {"num_classes": classes, "in_chans": channels, "pretrained": pretrained}
        if self.config.get("fixed_input_size"):
            arguments["img_size"] = (height, width)
        try:
            network: nn.Module = _timm(self._name).create_model(self._architecture, **arguments)
        except Exception as error:  # of many libraries, and of the network
            raise self._error(error, pretrained=pretrained) from error
        forward_shapes(self._name, network, input_shape)
        return network

    @property
    def config(self) -> dict[str, Any]:
        """What timm knows of the architecture's weights: the size, mean and deviation of their images.

        Raises:
            ConfigError: timm is not installed, or does not know it.
        """
        timm = _timm(self._name)
        if not timm.is_model(self._architecture):
            near = timm.list_models(f"*{self._architecture.partition('.')[0].partition('_')[0]}*")[:3]
            remedy = (
                f"use one of {', '.join(TIMM + each for each in near)}" if near else "see timm.list_models()"
            )
            raise ConfigError(FIELD, self._name, "unknown to timm", remedy)
        try:
            found = timm.get_pretrained_cfg(self._architecture)
        except RuntimeError as error:  # of a tag that it does not have
            remedy = "leave out the tag, or use one of timm.list_pretrained()"
            raise ConfigError(FIELD, self._name, first_line(error).rstrip(".").lower(), remedy) from error
        return {} if found is None else dict(found.to_dict())

    def _error(self, error: Exception, *, pretrained: bool) -> ConfigError:
        if pretrained:
            problem = f"timm's weights cannot be loaded ({first_line(error).rstrip('.')})"
            return ConfigError(WEIGHTS, "pretrained", problem, "check the network, or give a file of them")
        return ConfigError(FIELD, self._name, f"cannot be built ({first_line(error)})", "use another network")


def timm_weights(name: str, network: nn.Module, classes: int) -> LoadedWeights:
    """Return what a network took from timm's own weights: all but a head for another number of classes."""
    known: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    former, total, heads = known.get("num_classes"), len(network.state_dict()), known.get("classifier", ())
    if former == classes:
        return LoadedWeights(name, total, total, None, former, classes)
    names = (heads,) if isinstance(heads, str) else tuple(heads)
    fresh = sum(len(network.get_submodule(each).state_dict()) for each in names)
    return LoadedWeights(name, total - fresh, total, " and ".join(names), former, classes)


def _timm(name: str) -> Any:
    try:
        import timm
    except ModuleNotFoundError as error:
        remedy = "install the extra: pip install l2rw-ray[timm]"
        raise ConfigError(FIELD, name, "timm is not installed", remedy) from error
    return timm
