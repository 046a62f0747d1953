"""Seeds that a study adds look by look, or at which it draws sources of randomness anew."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, Tag, model_validator

from l2rw_ray.config.custom import BUILT_IN, ByKey, by_key
from l2rw_ray.config.section import Section, conflict
from l2rw_ray.config.training.random_sources import RandomSource

MAX_SEEDS = 10_000


class PlannedLooks(Section):
    """Seeds that are added look by look until the finding is shown, with the error that the looks cost."""

    start: int = Field(ge=2)
    """Seeds of the first look (0, 1, …)."""
    most: int = Field(le=MAX_SEEDS)
    """Seeds of the last look."""
    looks: int = Field(default=3, ge=2, le=20)
    """How often results are looked at, the last time included; numbers of seeds grow geometrically."""

    @model_validator(mode="after")
    def _looks_differ(self) -> Self:
        if self.most <= self.start:
            least = self.start + self.looks - 1
            raise conflict("most", self.most, f"not above start = {self.start}", f"use {least} or more")
        if self.most - self.start < self.looks - 1:
            problem = f"{self.start} to {self.most} seeds leave no room for {self.looks} looks"
            raise conflict("looks", self.looks, problem, "use fewer looks, or a larger most")
        return self

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of seeds at each look, ascending."""
        ratio = (self.most / self.start) ** (1 / (self.looks - 1))
        sizes = [self.start]
        for look in range(1, self.looks):
            least, latest = sizes[-1] + 1, self.most - (self.looks - 1 - look)
            sizes.append(min(max(round(self.start * ratio**look), least), latest))
        return tuple(sizes)


class RedrawnSeeds(Section):
    """Seeds, and sources of randomness that are drawn anew one at a time, to see which of them matters."""

    count: int = Field(ge=2, le=MAX_SEEDS)
    """How many seeds (0, 1, …). Only they count in the finding."""
    redraw: tuple[RandomSource | Literal["seed"], ...] = Field(min_length=1)
    """Sources: each trial runs once more for each of them, at the same seed but for the draws of that source.
    `split`: the sets, and noise and imbalance that are made. `init`: initial weights. `order`: order of
    batches, augmentation, dropout, and what the method draws. `seed`, of a tuned comparison with a search for
    every seed and alone: what each search chose is tested once more, on another seed."""


class _FormOfSeeds(ByKey):
    """Selects among a count, a list and the sections."""

    def __call__(self, given: Any) -> str:
        """Return the tag for seeds as a study file gives them, or for a section."""
        if isinstance(given, Mapping | Section):
            return super().__call__(given)
        return "list" if isinstance(given, list | tuple) else "count"


Seeds = Annotated[
    Annotated[int, Tag("count")]
    | Annotated[tuple[int, ...], Tag("list")]
    | Annotated[PlannedLooks, Tag(BUILT_IN)]
    | Annotated[RedrawnSeeds, Tag("redraw")],
    Field(discriminator=by_key(_FormOfSeeds(("redraw",), default=BUILT_IN))),
]
