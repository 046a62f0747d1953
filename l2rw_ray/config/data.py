"""The `data` section: where examples come from and how the train set is spoiled."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Tag, model_validator

from l2rw_ray.config.custom import BUILT_IN, IMPORT_PATH, CustomSection, ImportPath, by_form
from l2rw_ray.config.regression import GaussianNoise, TableOptions
from l2rw_ray.config.section import Section, conflict


class NoBias(Section):
    """Train classes keep the proportions of the source."""

    kind: Literal["none"] = "none"


class DominantClassBias(Section):
    """One class makes up a given fraction of the train set, the others share the rest equally."""

    kind: Literal["dominant_class"]
    level: float = Field(gt=0, lt=1)
    """Fraction of the train set that belongs to the dominant class, between 0 and 1."""
    dominant_class: int | str = Field(default=0, alias="class")
    """The dominant class, by name or by index."""
    size: Literal["matched", "as_published"] = "matched"
    """`matched`: every level has `train_size` examples. `as_published` (arXiv:2405.06859): every
    dominant example is kept and the train set has n_dominant / level examples."""


class NoNoise(Section):
    """Train labels are left as they are."""

    kind: Literal["none"] = "none"


class UniformNoise(Section):
    """A fraction of train labels is flipped to another class, each equally likely."""

    kind: Literal["uniform"]
    rate: float = Field(ge=0, lt=1)
    """Fraction of train labels that are flipped, from 0 to below 1."""


Bias = Annotated[NoBias | DominantClassBias, Field(discriminator="kind")]
Noise = Annotated[NoNoise | UniformNoise | GaussianNoise, Field(discriminator="kind")]


class _Data(Section):
    """What every source shares: the four disjoint sets and the protocols on the train set."""

    train_size: int | None = Field(default=None, ge=2)
    """Examples in the train set; null takes all that the other sets and the protocol leave."""
    meta_per_class: int = Field(default=5, ge=1)
    """Clean, balanced examples per class in the meta set, which drives the weights."""
    validation_size: int = Field(default=0, ge=0)
    """Clean examples that select hyperparameters; 0 for none."""
    test_size: int | None = Field(default=None, ge=1)
    """Examples that are only reported; null takes the whole test file, or a fifth of the source
    where it has no test file of its own."""
    bias: Bias = NoBias()
    """How class proportions of the train set are changed."""
    noise: Noise = NoNoise()
    """How labels or targets of the train set are corrupted, after the bias."""

    @property
    def is_regression(self) -> bool | None:
        """Whether examples have targets rather than classes; None where only loading them tells."""
        return False

    def source_only(self) -> Self:
        """This section with all but the source's own fields at their defaults: what loading needs."""
        own = type(self).model_fields.keys() - _Data.model_fields.keys()
        return type(self)(**{name: getattr(self, name) for name in own})

    @model_validator(mode="after")
    def _bias_and_size_agree(self) -> Self:
        if not isinstance(self.bias, DominantClassBias):
            return self
        if self.bias.size == "matched" and self.train_size is None:
            raise conflict(
                "train_size", None, "bias.size 'matched' holds the train size fixed", "give it a number"
            )
        if self.bias.size == "as_published" and self.train_size is not None:
            raise conflict(
                "train_size",
                self.train_size,
                "bias.size 'as_published' decides the size itself",
                "set it to null or use bias.size 'matched'",
            )
        return self


class DigitsData(_Data):
    """scikit-learn's bundled 8×8 grey digits: 1,797 real images, ten classes, no download."""

    source: Literal["digits"]


class Cifar10Data(_Data):
    """CIFAR-10 as torchvision stores it: 50,000 train and 10,000 test images of 32×32×3."""

    source: Literal["cifar10"]
    root: str = "~/data"
    """Folder that holds, or shall hold, `cifar-10-batches-py`."""
    download: bool = False
    """Download into `root` when it is not there."""


class ParquetData(TableOptions, _Data):
    """Any table: encoded image bytes or numeric features, and a label or a target.

    Paths are files or folders, local or any URI that pyarrow's filesystems understand.
    """

    source: Literal["parquet"]
    train: str
    """Parquet file or folder the train, meta and validation sets are drawn from."""
    test: str | None = None
    """Parquet file or folder of the test set; null draws the test set from `train`."""
    label: str | None = "label"
    """Column of integer labels, 0 to classes − 1, or of strings; null, the default beside `target`, for
    none."""
    image: str | None = "image"
    """Column of encoded images (PNG, JPEG, …); null, the default beside `features`, for none."""
    features: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Numeric columns to learn from, instead of an image."""
    group: str | None = None
    """Column that tells which examples belong together, such as a patient or a lesion: no group is in two
    of the sets, and meta, validation and test set have one example of each of theirs."""

    @property
    def is_regression(self) -> bool:
        """Whether it has a target."""
        return self.target is not None

    @model_validator(mode="before")
    @classmethod
    def _target_replaces_the_label(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("target") is not None:
            return {"label": None, **given}
        return given

    @model_validator(mode="before")
    @classmethod
    def _features_replace_the_image(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("features") is not None:
            return {"image": None, **given}
        return given

    @model_validator(mode="after")
    def _image_or_features(self) -> Self:
        if self.image is not None and self.features is not None:
            raise conflict("image", self.image, "features are named too", "set one of the two to null")
        if self.image is None and self.features is None:
            raise conflict("features", None, "no image column is named either", "name at least one")
        features = self.features or ()
        for name, column in (("label", self.label), ("target", self.target)):
            if column in features:
                raise conflict("features", column, f"the {name} is no feature", "leave it out")
        if len(set(features)) < len(features):
            raise conflict("features", list(features), "a column is named twice", "name each once")
        return self

    @model_validator(mode="after")
    def _label_or_target(self) -> Self:
        if self.label is not None and self.target is not None:
            raise conflict("label", self.label, "a target is named too", "set one of the two to null")
        if self.label is None and self.target is None:
            raise conflict("label", None, "no target is named either", "name one of the two")
        if self.target is None and self.target_below is not None:
            raise conflict("target_below", self.target_below, "there is no target", "leave it out")
        if self.features is None and self.missing != "error":
            raise conflict("missing", self.missing, "images are never missing in part", "leave it out")
        return self

    @model_validator(mode="after")
    def _noise_goes_by_a_feature(self) -> Self:
        by = self.noise.by if isinstance(self.noise, GaussianNoise) else None
        names: tuple[str, ...] = self.features or ()
        if by is None or by in names or (isinstance(by, int) and 0 <= by < len(names)):
            return self
        remedy = f"use one of {', '.join(names)}" if names else "use features, or leave it out"
        raise conflict("noise.by", by, "no feature of this table", remedy)


class CustomData(CustomSection, _Data):
    """A source of the user's own: `load(**options)` returns a `l2rw_ray.data.Source`."""

    source: ImportPath

    @property
    def is_regression(self) -> None:
        """Unknown before the source is loaded."""
        return None


_BuiltIn = Annotated[DigitsData | Cifar10Data | ParquetData, Field(discriminator="source")]
Data = Annotated[
    Annotated[_BuiltIn, Tag(BUILT_IN)] | Annotated[CustomData, Tag(IMPORT_PATH)],
    Field(discriminator=by_form("source")),
]
