"""The `ablation` design: a baseline, and variants that change one part of it."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from l2rw_ray.config.design.changes import Changes, fields_of, single_changes
from l2rw_ray.config.design.factors import Factors
from l2rw_ray.config.section import Section, conflict


class AblationDesign(Section):
    """A baseline trial, and variants that each change one part of it."""

    kind: Literal["ablation"] = "ablation"
    baseline: str = "baseline"
    """Name of the unchanged trial."""
    variants: dict[str, Annotated[Changes, Field(min_length=1)]] = Field(min_length=1)
    """Changes by name of the variant: values by path relative to `trial`; `{optim: {lr: 0.1}}` is the same as
    `{optim.lr: 0.1}`."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Pairs of variants that are also applied together, to see whether their effects add up."""
    factors: Factors = Field(default_factory=dict)
    """Further factors that the baseline and all variants are crossed with, such as `data.noise.rate`."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if self.baseline in self.variants:
            raise conflict("baseline", self.baseline, "a variant has the same name", "rename one of the two")
        for number, pair in enumerate(self.pairs):
            for name in pair:
                if name not in self.variants:
                    known = ", ".join(self.variants)
                    raise conflict(f"pairs[{number}]", name, "no variant", f"use two of {known}")
            one, other = (single_changes(self.variants[name]) for name in pair)
            if pair[0] == pair[1] or one.keys() & other.keys():
                problem = "both change the same field"
                raise conflict(f"pairs[{number}]", " + ".join(pair), problem, "pair variants of other fields")
        for path in self.factors:
            fields = fields_of({path: self.factors[path]})
            changing = [
                name for name, changes in self.variants.items() if fields & single_changes(changes).keys()
            ]
            if changing:
                problem = f"variant {changing[0]!r} sets it"
                raise conflict(
                    f"factors.{path}", self.factors[path], problem, "leave it out of one of the two"
                )
        return self

    def changes(self) -> dict[str, dict[str, Any]]:
        """Return the changes by name: none for the baseline, one set per variant, two per pair."""
        pairs = {f"{one} + {other}": self.variants[one] | self.variants[other] for one, other in self.pairs}
        return {self.baseline: {}, **self.variants, **pairs}
