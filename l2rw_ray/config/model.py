"""The `model` section: which network is trained, with the options that this network has and no others."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Tag, model_validator

from l2rw_ray.config.custom import BUILT_IN, IMPORT_PATH, CustomSection, ImportPath, by_form
from l2rw_ray.config.section import Section, conflict
from l2rw_ray.config.torchvision_names import TorchvisionName


class _Network(Section):
    @property
    def options(self) -> dict[str, Any]:
        """What the network's builder is handed beside the input shape and the number of classes."""
        return self.model_dump(exclude={"name"})


class MlpModel(_Network):
    """A multilayer perceptron on flattened inputs of any shape, or on numbers and categories."""

    name: Literal["mlp"]
    width: int = Field(default=128, ge=1)
    """Units of each hidden layer."""
    depth: int = Field(default=2, ge=1)
    """Hidden layers."""
    categories: Literal["one_hot", "embedding"] = "one_hot"
    """How the network gets categories: a number for each value, or a learned vector. A value that the train
    pool does not hold adds nothing."""
    category_width: int = Field(default=8, ge=1)
    """Length of the learned vectors."""

    @model_validator(mode="after")
    def _vectors_are_learned(self) -> Self:
        default = type(self).model_fields["category_width"].default
        if self.categories == "one_hot" and self.category_width != default:
            problem = "categories are one_hot"
            raise conflict("category_width", self.category_width, problem, "set categories: embedding")
        return self


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


class _TextModel(_Network):
    width: int = Field(default=128, ge=1)
    """Length of a token's vector."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of what goes into the last layer, and between the layers of a transformer, that training drops at
    random. Above 0, train and meta batch cannot pass together, and a reweighted step costs more."""


class EmbeddingBagModel(_TextModel):
    """The mean of a text's token vectors, and a linear layer: fast, blind to the order of words."""

    name: Literal["embedding_bag"]


class TextCnnModel(_TextModel):
    """Convolutions over a few tokens, the largest value of each channel, and a linear layer (Kim 2014)."""

    name: Literal["text_cnn"]
    kernel_sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(3, 4, 5), min_length=1)
    """Tokens that a convolution looks at, for each of the convolutions."""
    channels: int = Field(default=100, ge=1)
    """Channels of each convolution."""


class TransformerEncoderModel(_TextModel):
    """A small transformer encoder, the mean over a text's tokens, and a linear layer."""

    name: Literal["transformer_encoder"]
    depth: int = Field(default=2, ge=1)
    """Layers of attention."""
    heads: int = Field(default=4, ge=1)
    """Heads of each; they divide `width`."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            problem = f"it does not divide width, {self.width}"
            raise conflict("heads", self.heads, problem, "use a number that does")
        return self


TextModel = EmbeddingBagModel | TextCnnModel | TransformerEncoderModel
TEXT_MODELS = ("embedding_bag", "text_cnn", "transformer_encoder")


class CustomModel(CustomSection):
    """A custom network: `build(input_shape, classes, **options)` returns an `nn.Module`.

    Of texts `build` gets their `vocab_size` as well, by keyword.
    """

    name: ImportPath


_BuiltIn = Annotated[
    MlpModel
    | SmallImageModel
    | TorchvisionModel
    | EmbeddingBagModel
    | TextCnnModel
    | TransformerEncoderModel,
    Field(discriminator="name"),
]
Model = Annotated[
    Annotated[_BuiltIn, Tag(BUILT_IN)] | Annotated[CustomModel, Tag(IMPORT_PATH)],
    Field(discriminator=by_form("name")),
]
