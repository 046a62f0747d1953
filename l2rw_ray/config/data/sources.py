"""The `data` section: where examples come from, and the protocols applied to the train and meta sets."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, Tag, field_validator, model_validator
from pydantic.fields import FieldInfo

from l2rw_ray.config.custom import BUILT_IN, IMPORT_PATH, CustomSection, ImportPath, by_form
from l2rw_ray.config.data.columns import InputColumns
from l2rw_ray.config.data.protocols import (
    Bias,
    DominantClassBias,
    LabelNoise,
    LongTailBias,
    MetaBias,
    NoBias,
    Noise,
    NoNoise,
    TwoClassBias,
)
from l2rw_ray.config.data.regression import GaussianNoise, TableOptions
from l2rw_ray.config.data.set_sizes import RowCounts, size_misfit
from l2rw_ray.config.data.source_options import (
    BadRows,
    CsvOptions,
    Ham10000Options,
    ImageFolderOptions,
    SourceFacts,
    SyntheticOptions,
    TorchvisionOptions,
)
from l2rw_ray.config.data.streaming import StreamOptions
from l2rw_ray.config.data.transforms import ImageOptions
from l2rw_ray.config.data.trusted import TrustedColumns, TrustedOptions
from l2rw_ray.config.section import conflict


class _Data(ImageOptions, SourceFacts):
    """What every source shares: the four disjoint sets and the protocols on two of them."""

    train_size: int | None = Field(default=None, ge=2)
    """Examples in the train set; null takes all that the other sets and the protocol leave."""
    meta_per_class: int | None = Field(default=5, ge=1)
    """Examples per class in the meta set, which drives the weights: clean and balanced but for what
    `meta_bias` and `meta_noise` do. Null takes all examples of a file that is for the meta set alone."""
    validation_size: int | None = Field(default=0, ge=0)
    """Clean examples on which hyperparameters are selected; 0 for none. Null takes all examples of a file
    that is for the validation set alone."""
    test_size: int | None = Field(default=None, ge=1)
    """Examples used for reporting only; null takes the whole test file, or a fifth of the source
    where it has no test file of its own."""
    test_seed: int | None = Field(default=None, ge=0)
    """Seed that draws one test set for all trials; null takes each trial's seed, or 0 in a tuned comparison,
    so that no search sees test examples."""
    bias: Bias = NoBias()
    """How class proportions of the train set are changed."""
    noise: Noise = NoNoise()
    """How labels or targets of the train set are corrupted, after the bias."""
    meta_bias: MetaBias = NoBias()
    """How class proportions of the meta set are changed on purpose; its size stays."""
    meta_noise: LabelNoise = NoNoise()
    """How labels of the meta set are corrupted on purpose; its examples stay."""
    augment: tuple[Literal["flip", "crop"], ...] = ()
    """Random augmentation of train images: `flip` mirrors half of them left to right, `crop` shifts them by
    up to 4 pixels with black padding. Meta, validation and test images are not changed."""

    @property
    def is_regression(self) -> bool | None:
        """Whether examples have targets rather than classes; None where only loading them tells."""
        return False

    @property
    def set_files(self) -> Mapping[str, str]:
        """What is given for the meta or the validation set alone, by the set's name."""
        return {}

    @property
    def trains_on_verified(self) -> bool:
        """Whether a verified example that is in no other set trains with its verified label."""
        return False

    @property
    def selects_by_given(self) -> bool:
        """Whether the labels of the validation set are not verified."""
        return False

    @field_validator("augment")
    @classmethod
    def _augment_names_each_once(cls, augment: tuple[str, ...]) -> tuple[str, ...]:
        for place, kind in enumerate(augment):
            if kind in augment[:place]:
                raise conflict(f"[{place}]", kind, "it is named already", "name each once")
        return tuple(sorted(augment))  # their order has no meaning

    @model_validator(mode="after")
    def _images_are_changed_in_one_way(self) -> Self:
        if self.augment and self.transforms.train:
            problem, remedy = "transforms.train says it too", "use one of the two"
            raise conflict("augment", list(self.augment), problem, remedy)
        return self

    def source_only(self) -> Self:
        """Return this section with all but the source's own fields at their defaults: what loading needs."""
        shared = {
            name: field.get_default(call_default_factory=True) for name, field in _Data.model_fields.items()
        }
        return self.model_copy(update=shared)

    def without_protocol(self) -> Self:
        """Return this section without bias or noise in any set; classes that a bias leaves out stay out."""
        bias = self.bias if isinstance(self.bias, TwoClassBias) else NoBias()
        nothing = {"bias": bias, "noise": NoNoise(), "meta_bias": NoBias(), "meta_noise": NoNoise()}
        return self.model_copy(update=nothing)

    @classmethod
    def own_options(cls) -> dict[str, FieldInfo]:
        """Return the source's own fields, by the name that a study file uses."""
        own = {name: field for name, field in cls.model_fields.items() if name not in _Data.model_fields}
        return {field.alias or name: field for name, field in own.items() if name != "source"}

    @model_validator(mode="after")
    def _sets_have_a_size(self) -> Self:
        sizes = {"meta": ("meta_per_class", 1), "validation": ("validation_size", 0)}
        for name, (field, least) in sizes.items():
            size = getattr(self, field)
            if size is None and name not in self.set_files:
                problem = f"null takes all of a file for the {name} set, and none is named"
                raise conflict(field, None, problem, f"give a number from {least} on")
            if size == 0 and name in self.set_files:
                problem = f"{name} names {self.set_files[name]} for it"
                raise conflict(field, 0, problem, f"give a number, null for all, or leave {name} out")
        if self.selects_by_given and self.validation_size == 0:
            problem = "validation_size is 0, for no validation set"
            raise conflict("validation_labels", "given", problem, "give that a number, or leave this out")
        if self.meta_per_class is None and not isinstance(self.meta_bias, NoBias):
            problem = "meta_bias changes proportions, not the size"
            raise conflict("meta_per_class", None, problem, "give a number")
        return self

    @model_validator(mode="after")
    def _sets_fit_into_the_source(self) -> Self:
        if self.row_counts is not None and (misfit := size_misfit(self, self.row_counts)) is not None:
            raise conflict(*misfit)
        return self

    @model_validator(mode="after")
    def _bias_and_size_agree(self) -> Self:
        if not isinstance(self.bias, DominantClassBias | LongTailBias):
            return self
        if self.bias.size == "matched" and self.train_size is None:
            problem = "bias.size 'matched' holds the train size fixed"
            raise conflict("train_size", None, problem, "give it a number")
        if self.bias.size == "as_published" and self.train_size is not None:
            problem = "bias.size 'as_published' decides the size itself"
            remedy = "set it to null or use bias.size 'matched'"
            raise conflict("train_size", self.train_size, problem, remedy)
        return self


class DigitsData(_Data):
    """scikit-learn's bundled 8×8 grey digits."""

    holds = "1,797 images of 8×8, ten classes"
    obtained = "comes with scikit-learn"

    source: Literal["digits"]

    @property
    def row_counts(self) -> RowCounts:
        """As it comes with scikit-learn."""
        return RowCounts(1797)


class Cifar10Data(TorchvisionOptions, _Data):
    """CIFAR-10 as torchvision stores it."""

    holds = "50,000 train and 10,000 test images of 32×32×3, ten classes"

    source: Literal["cifar10"]


class Cifar100Data(TorchvisionOptions, _Data):
    """CIFAR-100 as torchvision stores it, with its fine labels."""

    holds = "50,000 train and 10,000 test images of 32×32×3, 100 classes"

    source: Literal["cifar100"]


class MnistData(TorchvisionOptions, _Data):
    """MNIST's handwritten digits as torchvision stores them."""

    holds = "60,000 train and 10,000 test images of 28×28, ten classes"

    source: Literal["mnist"]


class FashionMnistData(TorchvisionOptions, _Data):
    """Fashion-MNIST's articles of clothing as torchvision stores them."""

    holds = "60,000 train and 10,000 test images of 28×28, ten classes"

    source: Literal["fashion_mnist"]


class ImageFolderData(ImageFolderOptions, TrustedOptions, _Data):
    """Image files (JPEG, PNG, …) in one folder per class."""

    source: Literal["image_folder"]


class Ham10000Data(Ham10000Options, _Data):
    """HAM10000's skin lesions as they are published, grouped by lesion."""

    source: Literal["ham10000"]


class SyntheticData(SyntheticOptions, _Data):
    """Vectors of a known distribution, with the difficulty of each."""

    source: Literal["synthetic"]


class ParquetData(TableOptions, TrustedColumns, InputColumns, CsvOptions, _Data):
    """A table of encoded images, texts or numeric features, and a label or a target.

    Paths are files or folders, local or any URI that pyarrow's filesystems understand. A CSV file, packed
    or not, begins with the columns' names, which commas, semicolons or tabs separate; it has no images.
    """

    holds = "as many as you have"
    obtained = "a file, a folder or a URI"

    source: Literal["parquet", "csv"]
    train: str
    """File or folder the train, meta and validation sets are drawn from."""
    test: str | None = None
    """File or folder of the test set; null draws the test set from `train`."""
    label: str | None = "label"
    """Column of labels; null, the default beside `target`, for none. Whole numbers from 0 to classes − 1 are
    indices of classes. Other values, such as text, 1 to 5, −1 and 1, years or dates, become classes in their
    order, text sorted, without white space around it; `l2rw-ray data check` shows which became which."""
    class_names: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(default=None, min_length=2)
    """Names of the classes of labels that are numbers, in their order; null takes `class_names` of the
    files' metadata, or the numbers."""
    group: str | None = None
    """Column that tells which examples belong together, such as a patient or a lesion: no group is in two
    of the sets, and meta, validation and test set have one example of each of theirs."""
    bad_rows: BadRows = "error"
    """`error`: the first row with an image, text, feature, label, target or group that cannot be used ends
    loading. `skip`: all such rows are left out and counted. Images of another size are an error either
    way, without `image_size`."""
    stream: StreamOptions | None = None
    """Streams train inputs from their files instead of holding them in memory; null holds them in memory."""

    @property
    def has_vectors(self) -> bool:
        """Whether it has columns of features or categories."""
        return self.features is not None or self.categorical is not None

    @property
    def has_categories(self) -> bool:
        """Whether it has columns of categories."""
        return self.categorical is not None

    @property
    def has_texts(self) -> bool:
        """Whether it has a column of texts."""
        return self.text is not None

    @property
    def tokenizer_file(self) -> str | None:
        """File of the tokenizer; null where one is trained."""
        return self.tokenizer.file

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

    @model_validator(mode="after")
    def _inputs_suit_the_files(self) -> Self:
        if self.test == self.train:
            raise conflict("test", self.test, "it is the train table", "leave it out: the test set is drawn")
        if self.image is not None and self.source == "csv":
            raise conflict("image", self.image, "a CSV file has no encoded images", "use source parquet")
        if self.image is None and self.text is None and not self.has_vectors:
            others = "image, categorical" if self.source == "parquet" else "categorical"
            remedy = f"name at least one column, or set {others} or text"
            raise conflict("features", None, "no column to learn from is named", remedy)
        if self.image is None and self.augment:
            problem = f"{self.input_kind} are no images"
            raise conflict("augment", list(self.augment), problem, "leave it out")
        if self.image is None and self.changes_images:
            field = "transforms" if self.normalize is None else "normalize"
            given = getattr(self, field)
            value = given if isinstance(given, str) else given.model_dump(exclude_defaults=True)
            raise conflict(field, value, f"{self.input_kind} are no images", "leave it out")
        return self

    @model_validator(mode="after")
    def _inputs_do_not_tell_the_answer(self) -> Self:
        for name in ("label", "target", "verified_label", "verified_target", "id"):
            column = getattr(self, name)
            if column is not None and column == self.text:
                raise conflict("text", column, f"it is the {name}", "name another column")
            for field in ("features", "categorical", "weight_features"):
                if column in (getattr(self, field) or ()):
                    raise conflict(field, column, f"the {name} is no feature", "leave it out")
        return self

    @model_validator(mode="after")
    def _label_or_target(self) -> Self:
        if self.label is not None and self.target is not None:
            raise conflict("label", self.label, "a target is named too", "set one of the two to null")
        if self.class_names is not None and self.label is None:
            raise conflict("class_names", list(self.class_names), "there is no label", "leave it out")
        if self.class_names is not None and len(set(self.class_names)) < len(self.class_names):
            raise conflict("class_names", list(self.class_names), "a name occurs twice", "name each once")
        if self.label is None and self.target is None:
            raise conflict("label", None, "no target is named either", "name one of the two")
        for answer in ("label", "target"):
            field, column = f"verified_{answer}", getattr(self, f"verified_{answer}")
            if column is not None and getattr(self, answer) is None:
                raise conflict(field, column, f"there is no {answer}", "name both, or leave it out")
            if column is not None and column == getattr(self, answer):
                raise conflict(field, column, f"it is the {answer}", "name the column of verified ones")
        if self.target is None and self.target_below is not None:
            raise conflict("target_below", self.target_below, "there is no target", "leave it out")
        if self.features is None and self.missing != "error":
            problem = f"{self.input_kind} are never missing in part"
            raise conflict("missing", self.missing, problem, "leave it out")
        return self

    @model_validator(mode="after")
    def _stream_knows_its_rows(self) -> Self:
        if self.stream is None:
            return self
        if self.source == "csv":
            problem = "a CSV file is parsed as a whole"
            raise conflict("stream", self.stream.model_dump(), problem, "leave it out, or use source parquet")
        if self.bad_rows == "skip":
            problem = "with stream a row is read only when its batch comes"
            raise conflict("bad_rows", "skip", problem, "use error and fix the files, or leave stream out")
        if self.target_below is not None:
            problem = "with stream the rows are those of the files"
            raise conflict("target_below", self.target_below, problem, "leave such rows out of the files")
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
    """Custom code: `load(**options)` returns a `l2rw_ray.data.Source`."""

    holds = "as much as it holds"
    obtained = "source: package.module:load, installed or beside the study file"

    source: ImportPath

    @property
    def is_regression(self) -> None:
        """Unknown before the source is loaded."""
        return None


_BuiltIn = Annotated[
    DigitsData
    | Cifar10Data
    | Cifar100Data
    | MnistData
    | FashionMnistData
    | ImageFolderData
    | Ham10000Data
    | SyntheticData
    | ParquetData,
    Field(discriminator="source"),
]
Data = Annotated[
    Annotated[_BuiltIn, Tag(BUILT_IN)] | Annotated[CustomData, Tag(IMPORT_PATH)],
    Field(discriminator=by_form("source")),
]
