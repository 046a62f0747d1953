"""Options of each source: where its files are and how they are read."""

import codecs
import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from l2rw_ray.config.data.set_sizes import RowCounts
from l2rw_ray.config.section import Section, conflict

BadRows = Literal["error", "skip"]
"""How to treat unusable rows: raise an error at the first, or skip and count them."""
ImageSize = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
"""Height and width in pixels."""
ImageMode = Literal["grey", "rgb"]
"""How encoded images are read: with one channel, or with three."""


class SourceFacts(Section):
    """Facts about a source that are known before it is loaded."""

    holds: ClassVar[str]
    """How much it holds."""
    obtained: ClassVar[str]
    """How to get it."""

    @property
    def row_counts(self) -> RowCounts | None:
        """How many examples it has; None where only its files tell."""
        return None

    @property
    def has_vectors(self) -> bool:
        """Whether examples are known to be vectors, which image models cannot take."""
        return False

    @property
    def has_categories(self) -> bool:
        """Whether examples are known to have categories, beside numbers or alone."""
        return False

    @property
    def has_texts(self) -> bool:
        """Whether examples are known to be texts, which only models of texts take."""
        return False

    @property
    def tokenizer_file(self) -> str | None:
        """File of the tokenizer of its texts; None where there is none, or one is trained."""
        return None


class CsvOptions(Section):
    """How CSV files are read."""

    encoding: str = "utf-8"
    """Encoding of CSV files, as Python names it, such as `latin-1`, `cp1252` or `utf-16`."""
    null_values: tuple[str, ...] | None = None
    """What stands for a missing value in CSV files, out of quotes; `[""]` takes `NA` for a class like any
    other. Null, the default, for nothing at all, `NA`, `NaN`, `null` and the like."""

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, encoding: str) -> str:
        try:
            found = codecs.lookup(encoding)
            "a".encode(encoding)  # not every codec is of text
        except (LookupError, ValueError):
            raise conflict("", encoding, "unknown", "use a name of Python's, such as latin-1") from None
        return found.name

    @model_validator(mode="after")
    def _is_for_csv(self) -> Self:
        if getattr(self, "source", "csv") != "csv":
            for name in ("encoding", "null_values"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    value = getattr(self, name)
                    raise conflict(name, value, "Parquet files say that themselves", "leave it out")
        return self


class TorchvisionOptions(SourceFacts):
    """A data set as torchvision stores it."""

    obtained = "download: true, or its files put into root"

    root: str = "~/data"
    """Folder of torchvision's files; `download` fills it."""
    download: bool = False
    """Download into `root` when it is not there."""

    @property
    def row_counts(self) -> RowCounts:
        """As they are published."""
        return RowCounts(60_000 if "mnist" in getattr(self, "source", "") else 50_000, 10_000)


class ImageFolderOptions(SourceFacts):
    """Image files in one folder per class, as torchvision's `ImageFolder` has them."""

    holds = "as many as you have"
    obtained = "train/<class>/<image>"

    train: str
    """Folder the train set is drawn from, and the others unless `trusted` or a folder of theirs is named;
    each folder in it is a class."""
    test: str | None = None
    """Folder of the test set, of the same form; null draws the test set from `train`."""
    image_size: ImageSize | None = None
    """Height and width that images are resized to; null leaves them, and all must be of one size."""
    image_mode: ImageMode | None = None
    """`grey` reads images with one channel, `rgb` with three; null with one if all are grey."""
    bad_rows: BadRows = "error"
    """`error`: the first image that cannot be read ends loading. `skip`: all are left out and counted."""

    @model_validator(mode="after")
    def _test_is_another_folder(self) -> Self:
        if self.test == self.train:
            raise conflict("test", self.test, "it is the train folder", "leave it out: the test set is drawn")
        return self


class Ham10000Options(SourceFacts):
    """HAM10000 as it is published; the examples are grouped by lesion."""

    holds = "10,015 images of 7,470 skin lesions, seven classes"
    obtained = "doi:10.7910/DVN/DBW86T, unpacked into root"

    root: str = "~/data/HAM10000"
    """Folder with `HAM10000_metadata.csv`, and the images in it, in its folder `HAM10000_images`, or in
    `HAM10000_images_part_1` and `HAM10000_images_part_2`."""
    image_size: ImageSize | None = (28, 28)
    """Height and width that images are resized to; null leaves them at 450×600."""
    bad_rows: BadRows = "error"
    """`error`: the first row that cannot be used ends loading. `skip`: all are left out and counted."""

    @property
    def row_counts(self) -> RowCounts:
        """As it is published."""
        return RowCounts(10_015)


class SyntheticOptions(SourceFacts):
    """Points of a known distribution, so that the difficulty of each example is known."""

    holds = "as many as you like"
    obtained = "made on the spot"

    kind: Literal["cube", "moons", "circles"] = "cube"
    """`cube`: classes around corners of a cube. `moons`, `circles`: scikit-learn's two classes."""
    size: int = Field(default=2000, ge=4)
    """Examples, as equally spread over the classes as they can be."""
    classes: int = Field(default=2, ge=2)
    """Number of classes; `moons` and `circles` have two."""
    features: int = Field(default=2, ge=1)
    """Length of a vector; what the shape does not need is noise of deviation 1."""
    separation: float = Field(default=3.0, gt=0)
    """Size of the shape in standard deviations of the noise around it: side of the cube, radius of
    the moons and of the outer circle."""
    seed: int = Field(default=0, ge=0)
    """Seed of the points; the trial's seed decides on their split."""

    @property
    def row_counts(self) -> RowCounts:
        """The points that are made."""
        return RowCounts(self.size)

    @property
    def has_vectors(self) -> bool:
        """Whether examples are vectors: points always are."""
        return True

    @property
    def figure_features(self) -> int:
        """Features that tell classes apart."""
        return math.ceil(math.log2(self.classes)) if self.kind == "cube" else 2

    @model_validator(mode="after")
    def _figure_fits(self) -> Self:
        if self.kind != "cube" and self.classes != 2:
            raise conflict(
                "classes", self.classes, f"kind {self.kind!r} has two classes", "use 2 or kind cube"
            )
        if self.features < self.figure_features:
            problem = f"kind {self.kind!r} with {self.classes} classes needs {self.figure_features}"
            raise conflict("features", self.features, problem, f"use {self.figure_features} or more")
        if self.size < 2 * self.classes:
            problem = f"fewer than two examples for each of {self.classes} classes"
            raise conflict("size", self.size, problem, f"use {2 * self.classes} or more")
        return self
