"""The base of every configuration section."""

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A frozen section of a study file: unknown keys refused, numbers finite, fields documented."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        populate_by_name=True,
        serialize_by_alias=True,
    )


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
