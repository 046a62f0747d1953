"""Which columns of a table a model learns from: images, features and categories, or texts."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from l2rw_ray.config.data.source_options import ImageMode, ImageSize
from l2rw_ray.config.data.text import TextOptions
from l2rw_ray.config.section import conflict

_ONE = "set one of the two to null"


class InputColumns(TextOptions):
    """The columns that a model learns from, of one kind."""

    image: str | None = "image"
    """Column of encoded images (PNG, JPEG, …); null, the default beside other columns, for none."""
    image_size: ImageSize | None = None
    """Height and width that images are resized to; null leaves them, and all must be of one size."""
    image_mode: ImageMode | None = None
    """`grey` reads images with one channel, `rgb` with three; null with one if all are grey. With `stream`,
    null goes by the first image, and one in colour after a grey one is an error."""
    features: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Numeric columns to learn from, instead of an image."""
    categorical: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Columns of categories to learn from, beside `features` or alone. A model gets a dict of `features`,
    float32 [B, F], and `categories`, int64 [B, K]: 0 where a value is missing, 1 where the train pool does
    not hold it, and from 2 on the values of the train pool, sorted."""
    weight_features: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Numeric columns from which `weight_model` computes example weights; the network does not see them."""

    @property
    def input_kind(self) -> Literal["images", "features", "categories", "texts"]:
        """What the columns hold."""
        if self.text is not None:
            return "texts"
        if self.features is None:
            return "images" if self.categorical is None else "categories"
        return "features"

    @model_validator(mode="before")
    @classmethod
    def _others_replace_the_image(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        has_others = any(given.get(field) is not None for field in ("features", "categorical", "text"))
        return {"image": None, **given} if has_others or given.get("source") == "csv" else given

    @model_validator(mode="after")
    def _one_kind_of_input(self) -> Self:
        named = {"image": self.image, "features": self.features, "categorical": self.categorical}
        given = {field: columns for field, columns in named.items() if columns is not None}
        if self.text is not None and given:
            field, columns = given.popitem()
            raise conflict(field, _plain(columns), "texts are named too", _ONE)
        if self.image is not None and len(given) > 1:
            raise conflict("image", self.image, f"{self.input_kind} are named too", _ONE)
        for field in ("image_size", "image_mode"):
            if self.image is None and getattr(self, field) is not None:
                problem = f"{self.input_kind} are no images"
                raise conflict(field, getattr(self, field), problem, "leave it out")
        return self

    @model_validator(mode="after")
    def _columns_are_named_once(self) -> Self:
        for field in ("features", "categorical", "weight_features"):
            named = getattr(self, field) or ()
            if len(set(named)) < len(named):
                raise conflict(field, list(named), "a column is named twice", "name each once")
        both = set(self.features or ()) & set(self.categorical or ())
        if both:
            problem = "features hold it too"
            raise conflict("categorical", min(both), problem, "name it in one of the two")
        return self


def _plain(columns: str | tuple[str, ...]) -> str | list[str]:
    return columns if isinstance(columns, str) else list(columns)
