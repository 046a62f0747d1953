"""The base of every configuration section."""

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    _Model = BaseModel
else:

    class _Checked(type(BaseModel)):
        """Raises the error of a study file where a section is constructed from Python."""

        def __call__(cls, *args: Any, **fields: Any) -> Any:
            try:
                return super().__call__(*args, **fields)
            except ValidationError as error:
                from l2rw_ray.config.validation_errors import as_config_error

                raise as_config_error(error, cls) from error

    class _Model(BaseModel, metaclass=_Checked):
        pass


class Section(_Model):
    """A frozen section of a study file: unknown keys refused, numbers finite, fields documented.

    Raises:
        ConfigError: A field is unknown, missing, of the wrong type, out of range or in conflict.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        populate_by_name=True,
        serialize_by_alias=True,
    )


class Misfit(NamedTuple):
    """A field that does not go with others: arguments of `conflict` and of an `InputError`."""

    field: str
    value: object
    problem: str
    remedy: str


def conflict(field: str, value: object, problem: str, remedy: str) -> PydanticCustomError:
    """Return the error for fields that are each valid but do not go together.

    Args:
        field: Path of the field to change, relative to the section that raises.
        value: Its value.
        problem: What it conflicts with.
        remedy: What to do instead.
    """
    context = {"field": field, "value": value, "problem": problem, "remedy": remedy}
    return PydanticCustomError("conflict", "{field}: {problem}; {remedy}", context)
