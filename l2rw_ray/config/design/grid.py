"""The `grid` design: every combination of the factors' levels."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from l2rw_ray.config.design.factors import Factors
from l2rw_ray.config.design.space import Where, as_levels
from l2rw_ray.config.field_path import FieldPath
from l2rw_ray.config.section import Section, conflict


class GridDesign(Section):
    """Every combination of the factors' levels, except those that `when` and `skip` exclude."""

    kind: Literal["grid"] = "grid"
    factors: Factors = Field(min_length=1)
    """Levels to try, by path relative to `trial`, such as `data.bias.level`, or `resources.workers`."""
    when: dict[FieldPath, Where] = Field(default_factory=dict)
    """By factor: the levels of other factors of the same section at which it is varied. Elsewhere it has no
    meaning (an option that a method does not have), and one design point stands for all of its levels."""
    skip: tuple[Where, ...] = ()
    """Combinations that are not run."""

    @model_validator(mode="after")
    def _conditions_are_of_factors(self) -> Self:
        for factor, where in self.when.items():
            if factor not in self.factors:
                raise conflict(f"when.{factor}", where, "it is not among the factors", "add it to factors")
            self._check(where, f"when.{factor}")
            for path in where:
                if _section(path) != _section(factor):
                    problem = f"{factor} has a meaning whatever {path} is"
                    raise conflict(f"when.{factor}.{path}", where[path], problem, "use skip instead")
            if factor in where:
                raise conflict(f"when.{factor}", where, "it depends on itself", "name other factors")
        for number, where in enumerate(self.skip):
            self._check(where, f"skip[{number}]")
        return self

    def _check(self, where: Mapping[str, Any], field: str) -> None:
        if not where:
            raise conflict(field, where, "no condition", "name a factor and its level, or leave it out")
        for path, wanted in where.items():
            if path not in self.factors:
                known = ", ".join(self.factors)
                raise conflict(f"{field}.{path}", wanted, "no factor of this design", f"use one of {known}")
            for level in as_levels(wanted):
                if level not in self.factors[path]:
                    known = ", ".join(str(each) for each in self.factors[path])
                    raise conflict(f"{field}.{path}", level, "no level of this factor", f"use one of {known}")


def _section(path: str) -> str:
    """Return the section a field is in; options count as fields of their section."""
    section, options, _ = path.partition(".options.")
    return section if options else path.rpartition(".")[0]
