"""The `model` section: which network is trained, with the options that this network has and no others."""

from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from l2rw_ray.config.custom import BUILT_IN, IMPORT_PATH, CustomSection, ImportPath, by_form
from l2rw_ray.config.section import Section
from l2rw_ray.config.torchvision_names import TorchvisionName


class _Network(Section):
    @property
    def options(self) -> dict[str, Any]:
        """What the network's builder is handed beside the input shape and the number of classes."""
        return self.model_dump(exclude={"name"})


class MlpModel(_Network):
    """A multilayer perceptron on flattened inputs of any shape."""

    name: Literal["mlp"]
    width: int = Field(default=128, ge=1)
    """Units of each hidden layer."""
    depth: int = Field(default=2, ge=1)
    """Hidden layers."""


class SmallImageModel(_Network):
    """A network for small images, fitted to the source's input shape and number of classes."""

    name: Literal[
        "lenet",
        "paper_cnn",
        "alexnet_small",
        "resnet20_bn",
        "resnet32_bn",
        "resnet44_bn",
        "resnet56_bn",
        "resnet110_bn",
        "resnet20_gn",
        "resnet32_gn",
        "resnet44_gn",
        "resnet56_gn",
        "resnet110_gn",
        "wrn16_1",
        "wrn16_2",
        "wrn16_4",
        "wrn28_10",
        "wrn16_1_gn",
        "wrn16_2_gn",
        "wrn16_4_gn",
        "wrn28_10_gn",
    ]


class TorchvisionModel(_Network):
    """A network of torchvision's, without trained weights, fitted to the size and channels of the images."""

    name: TorchvisionName


class CustomModel(CustomSection):
    """A custom network: `build(input_shape, classes, **options)` returns an `nn.Module`."""

    name: ImportPath


_BuiltIn = Annotated[MlpModel | SmallImageModel | TorchvisionModel, Field(discriminator="name")]
Model = Annotated[
    Annotated[_BuiltIn, Tag(BUILT_IN)] | Annotated[CustomModel, Tag(IMPORT_PATH)],
    Field(discriminator=by_form("name")),
]
