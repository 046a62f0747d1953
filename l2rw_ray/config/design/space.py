"""Search spaces: the parameters that a search varies, and the conditions of each."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from l2rw_ray.config.field_path import FieldPath
from l2rw_ray.config.section import Section, conflict

Where = dict[FieldPath, Any]
"""Levels by factor, all of which must match; a list matches if any of its entries does."""


class _Range(Section):
    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    log: bool = False
    """Whether values are spread evenly on a logarithmic scale; needs `low` above 0."""

    @model_validator(mode="after")
    def _ends_are_in_order(self) -> Self:
        if self.low >= self.high:
            raise conflict("high", self.high, f"not above low = {self.low}", "use a larger one")
        if self.log and self.low <= 0:
            raise conflict(
                "low", self.low, "a logarithm needs a number above 0", "raise it, or leave log out"
            )
        return self


class FloatParameter(_Range):
    """A number between two ends, both included."""

    kind: Literal["float"]
    step: float | None = Field(default=None, gt=0)
    """Distance between neighbouring values, counted from `low`; null for none. Only with `log: false`."""

    @model_validator(mode="after")
    def _steps_reach_high(self) -> Self:
        if self.step is None:
            return self
        if self.log:
            raise conflict("step", self.step, "log spreads numbers by itself", "leave one of the two out")
        low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step))
        if (high - low) % step:
            reached = low + (high - low) // step * step
            problem = f"no whole number of steps of {step} from low = {low}"
            remedy = f"use {reached}" if reached > low else "use a smaller step"
            raise conflict("high", self.high, problem, remedy)
        return self

    def nearest(self, value: float) -> float:
        """Return the nearest value of the parameter, without the rounding of a sum of steps."""
        if self.step is None:
            return value
        low, step = Decimal(str(self.low)), Decimal(str(self.step))
        return float(low + round((Decimal(value) - low) / step) * step)


class IntParameter(_Range):
    """A whole number between two ends, both included."""

    kind: Literal["int"]
    low: int
    """Smallest value."""
    high: int
    """Largest value."""
    step: int = Field(default=1, ge=1)
    """Distance between neighbouring values; other than 1 only with `log: false`."""

    @model_validator(mode="after")
    def _log_has_no_step(self) -> Self:
        if self.log and self.step != 1:
            raise conflict("step", self.step, "log spreads numbers by itself", "leave one of the two out")
        return self


class CategoricalParameter(Section):
    """One of some values."""

    kind: Literal["categorical"]
    choices: tuple[StrictBool | StrictInt | StrictFloat | StrictStr | None, ...] = Field(min_length=2)
    """Values to choose from, each once."""

    @model_validator(mode="after")
    def _choices_are_distinct(self) -> Self:
        for place, choice in enumerate(self.choices):
            if choice in self.choices[:place]:
                raise conflict("choices", choice, "the same choice twice", "name each once")
        return self


Parameter = Annotated[FloatParameter | IntParameter | CategoricalParameter, Field(discriminator="kind")]
Space = dict[FieldPath, Parameter]
"""Parameters by path relative to `trial`."""


def as_levels(wanted: Any) -> list[Any]:
    """Return a condition's levels as a sequence."""
    return wanted if isinstance(wanted, list) else [wanted]


def meets(point: dict[str, Any], where: Where) -> bool:
    """Return whether a point has the factors of a condition at matching levels."""
    return all(path in point and point[path] in as_levels(wanted) for path, wanted in where.items())


def ends_of(parameter: FloatParameter | IntParameter | CategoricalParameter) -> tuple[Any, ...]:
    """Return the values to validate a parameter at: all choices, or both ends."""
    if isinstance(parameter, CategoricalParameter):
        return parameter.choices
    return parameter.low, parameter.high


def range_text(parameter: FloatParameter | IntParameter) -> str:
    """Return the ends of a range and the distance between its values, as in `0 to 1 in steps of 0.1`."""
    is_usual = parameter.step is None or (isinstance(parameter, IntParameter) and parameter.step == 1)
    steps = "" if is_usual else f" in steps of {parameter.step:g}"
    return f"{parameter.low:g} to {parameter.high:g}{steps}"


def in_order(space: Space, when: dict[str, Where]) -> list[str]:
    """Return the paths in an order in which each follows those of its condition.

    Raises:
        ValueError: Conditions are circular; the message names one.
    """
    ordered: list[str] = []
    left = list(space)
    while left:
        ready = [path for path in left if all(other in ordered for other in when.get(path, {}))]
        if not ready:
            raise ValueError(left[0])
        ordered += ready
        left = [path for path in left if path not in ready]
    return ordered
