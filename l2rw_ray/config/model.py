"""The `model` section: which network is trained, with the options that this network has and no others."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Tag, model_validator

from l2rw_ray.config.custom import (
    BUILT_IN,
    IMPORT_PATH,
    TIMM_NAME,
    CustomSection,
    ImportPath,
    by_form,
)
from l2rw_ray.config.section import Section, conflict
from l2rw_ray.config.torchvision_names import TorchvisionName
from l2rw_ray.weight_files import HUB, PRETRAINED, is_release_name


class WeightOptions(Section):
    """Trained weights that a network starts from."""

    weights: str | None = None
    """Trained weights to start from; null for fresh ones. A file of safetensors, or one that `torch.save`
    wrote of a state dict; `package:NAME/PATH` for a file in an installed package; for torchvision's networks
    also the name of a release, such as `IMAGENET1K_V2`, and for those of timm `pretrained`. Files count by
    their content."""
    match: Literal["names", "order"] = "names"
    """How tensors of a file and of the network are paired: by name; or by their order where names differ, in
    which case shapes and kinds of all of them must agree."""
    freeze_batch_norm: bool = False
    """Whether BatchNorm normalises by the running statistics of the weights in training, too, and leaves them
    as they are: with few images per batch, or few in all, statistics of batches are noise. Its scales and
    shifts are trained."""

    @model_validator(mode="after")
    def _order_is_of_a_file(self) -> Self:
        if self.match == "order" and not self.weights_file:
            problem = "there is no file of weights" if self.weights is None else "its weights have its names"
            raise conflict("match", self.match, problem, "leave it out")
        return self

    @property
    def weights_file(self) -> str | None:
        """The file or folder of the weights as it is given; None without one, or for a release by name."""
        given = self.weights
        if given is None or given == PRETRAINED or given.startswith(HUB) or is_release_name(given):
            return None
        return given


class _Network(WeightOptions):
    @property
    def options(self) -> dict[str, Any]:
        """What the network's builder is handed beside the input shape and the number of classes."""
        return self.model_dump(exclude={"name", *WeightOptions.model_fields})

    @model_validator(mode="after")
    def _weights_are_a_file(self) -> Self:
        if self.weights is not None and not self.weights_file and not self._has_releases:
            problem = "this network has no weights of that name"
            raise conflict("weights", self.weights, problem, "give a file of safetensors or a state dict")
        if self.freeze_batch_norm and self.weights is None:
            problem = "a network without trained weights has no statistics to normalise by"
            raise conflict("freeze_batch_norm", True, problem, "give model.weights, or leave it out")
        return self

    @property
    def _has_releases(self) -> bool:
        return False


class MlpModel(_Network):
    """A multilayer perceptron on flattened inputs of any shape, or on numbers and categories."""

    name: Literal["mlp"]
    width: int = Field(default=128, ge=1)
    """Units of each hidden layer."""
    depth: int = Field(default=2, ge=1, le=1000)
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
    """A network of torchvision's, fitted to the size and channels of the images."""

    name: TorchvisionName
    small_stem: bool | None = None
    """Whether the first layers keep the size of the images. Null: for images whose shorter side is below 64,
    where no weights are named."""

    @property
    def options(self) -> dict[str, Any]:
        """What the builder is handed beside the input shape and the number of classes."""
        small = False if self.small_stem is None and self.weights is not None else self.small_stem
        return {"small_stem": small}

    @property
    def _has_releases(self) -> bool:
        return self.weights is not None and is_release_name(self.weights)


class TimmModel(_Network):
    """A network of the package timm (the extra `timm`), for images of any number of channels."""

    name: Annotated[str, Field(pattern=r"^timm:[a-z0-9_.]+$", json_schema_extra={"format": TIMM_NAME})]

    @property
    def _has_releases(self) -> bool:
        return self.weights == PRETRAINED


class HuggingFaceModel(_Network):
    """A classifier of texts or images of the package transformers (the extra `transformers`).

    Texts are cut into tokens by the tokenizer of the weights.
    """

    name: Literal["hugging_face"]
    weights: str
    """Folder with `config.json`, the weights and, for texts, `tokenizer.json`: a path, `package:NAME/PATH`
    for a folder of an installed package, or `hub:OWNER/NAME` for one of huggingface.co, which has to be in
    the local cache or within reach. Local files count by their content."""
    pooling: Literal["head", "mean"] = "head"
    """`head`: the classifier that this kind of network has. `mean`: one linear layer on the mean of the last
    layer's vectors over the tokens of a text, as sentence encoders are used."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Share of activations that training drops; null for what the weights were trained with. Above 0, train
    and meta batch cannot pass together, and a reweighted step costs more."""

    @property
    def options(self) -> dict[str, Any]:
        """What the builder is handed beside the input shape and the number of classes."""
        return self.model_dump(include={"weights", "pooling", "dropout"})

    @model_validator(mode="after")
    def _names_are_its_own(self) -> Self:
        if self.match == "order":
            raise conflict("match", self.match, "these weights have the network's names", "leave it out")
        return self

    @property
    def _has_releases(self) -> bool:
        return self.weights.startswith(HUB)


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
    depth: int = Field(default=2, ge=1, le=1000)
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


class CustomModel(CustomSection, WeightOptions):
    """A custom network: `build(input_shape, classes, **options)` returns an `nn.Module`.

    Of texts `build` gets their `vocab_size` as well, by keyword.
    """

    name: ImportPath

    @model_validator(mode="after")
    def _weights_are_a_file(self) -> Self:
        if self.weights is not None and not self.weights_file:
            problem = "custom networks have no named weights"
            raise conflict("weights", self.weights, problem, "give a file, or load them in `build`")
        return self


_BuiltIn = Annotated[
    MlpModel
    | SmallImageModel
    | TorchvisionModel
    | EmbeddingBagModel
    | TextCnnModel
    | TransformerEncoderModel
    | HuggingFaceModel,
    Field(discriminator="name"),
]
Model = Annotated[
    Annotated[_BuiltIn, Tag(BUILT_IN)]
    | Annotated[CustomModel, Tag(IMPORT_PATH)]
    | Annotated[TimmModel, Tag(TIMM_NAME)],
    Field(discriminator=by_form("name", TIMM_NAME)),
]
