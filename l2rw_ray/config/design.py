"""The `design` section: which trials answer the question, one class per kind of design."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from l2rw_ray.config.effective import MinimumEffectiveDesign
from l2rw_ray.config.factors import Factors
from l2rw_ray.config.search import SearchDesign
from l2rw_ray.config.section import Section, conflict
from l2rw_ray.config.space import Where, as_levels
from l2rw_ray.config.tuned import TunedComparisonDesign

VARIANT = "variant"
"""The factor of an ablation or a tuned comparison: its levels are the names of the variants, or arms."""


class GridDesign(Section):
    """Every combination of the factors' levels, but for those that conditions leave out."""

    kind: Literal["grid"]
    factors: Factors = Field(min_length=1)
    """Levels to try, by path relative to `trial`, such as `data.bias.level`, or `resources.workers`."""
    when: dict[str, Where] = Field(default_factory=dict)
    """By factor: levels of others, of the same section, at which it is varied. Elsewhere it has no
    meaning, as an option that an arm does not have, and its design points stand at all of its levels."""
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


class AblationDesign(Section):
    """A trial as it is, and with one part of it changed at a time."""

    kind: Literal["ablation"]
    baseline: str = "baseline"
    """Name of the trial as it is."""
    variants: dict[str, Annotated[dict[str, Any], Field(min_length=1)]] = Field(min_length=1)
    """Changes by name of the variant: values by path relative to `trial`."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Variants that are also made together, to see whether their effects add up."""
    factors: Factors = Field(default_factory=dict)
    """Further factors that baseline and variants are all crossed with, such as `data.noise.rate`."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if self.baseline in self.variants:
            raise conflict("baseline", self.baseline, "a variant has the same name", "rename one of the two")
        for number, pair in enumerate(self.pairs):
            for name in pair:
                if name not in self.variants:
                    known = ", ".join(self.variants)
                    raise conflict(f"pairs[{number}]", name, "no variant", f"use two of {known}")
            if pair[0] == pair[1] or set(self.variants[pair[0]]) & set(self.variants[pair[1]]):
                problem = "both change the same field"
                raise conflict(f"pairs[{number}]", " + ".join(pair), problem, "pair variants of other fields")
        for path in self.factors:
            changing = [name for name, changes in self.variants.items() if path in changes]
            if changing:
                problem = f"variant {changing[0]!r} sets it"
                raise conflict(
                    f"factors.{path}", self.factors[path], problem, "leave it out of one of the two"
                )
        return self

    def changes(self) -> dict[str, dict[str, Any]]:
        """Changes by name of the variant: the baseline's none, each one's own, each pair's together."""
        pairs = {f"{one} + {other}": self.variants[one] | self.variants[other] for one, other in self.pairs}
        return {self.baseline: {}, **self.variants, **pairs}


FixedDesign = GridDesign | AblationDesign
"""Designs whose trials are known before any has run."""
SearchingDesign = SearchDesign | TunedComparisonDesign
"""Designs whose trials Optuna proposes."""
Design = Annotated[FixedDesign | SearchingDesign | MinimumEffectiveDesign, Field(discriminator="kind")]
"""Any kind of design."""


def _section(path: str) -> str:
    """The section a field is in; options are fields of the section that they are options of."""
    section, options, _ = path.partition(".options.")
    return section if options else path.rpartition(".")[0]
