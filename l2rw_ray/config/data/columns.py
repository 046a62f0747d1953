"""Which columns of a table a model learns from: images, features or texts."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from l2rw_ray.config.data.source_options import ImageSize
from l2rw_ray.config.data.text import TextOptions
from l2rw_ray.config.section import conflict


class InputColumns(TextOptions):
    """The columns that a model learns from, of one kind."""

    image: str | None = "image"
    """Column of encoded images (PNG, JPEG, …); null, the default beside `features` and `text`, for none."""
    image_size: ImageSize | None = None
    """Height and width that images are resized to; null leaves them, and all must be of one size."""
    features: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Numeric columns to learn from, instead of an image."""
    weight_features: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Numeric columns from which `weight_model` computes example weights; the network does not see them."""

    @property
    def input_kind(self) -> Literal["images", "features", "texts"]:
        """What the columns hold."""
        if self.text is not None:
            return "texts"
        return "images" if self.features is None else "features"

    @model_validator(mode="before")
    @classmethod
    def _others_replace_the_image(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        has_others = given.get("features") is not None or given.get("text") is not None
        return {"image": None, **given} if has_others or given.get("source") == "csv" else given

    @model_validator(mode="after")
    def _one_kind_of_input(self) -> Self:
        named = {"image": self.image, "features": self.features and list(self.features)}
        for field, given in named.items():
            if self.text is not None and given is not None:
                raise conflict(field, given, "texts are named too", "set one of the two to null")
        if self.image is not None and self.features is not None:
            raise conflict("image", self.image, "features are named too", "set one of the two to null")
        if self.image_size is not None and self.image is None:
            problem = f"{self.input_kind} are no images"
            raise conflict("image_size", list(self.image_size), problem, "leave it out")
        return self

    @model_validator(mode="after")
    def _columns_are_named_once(self) -> Self:
        for field in ("features", "weight_features"):
            named = getattr(self, field) or ()
            if len(set(named)) < len(named):
                raise conflict(field, list(named), "a column is named twice", "name each once")
        return self
