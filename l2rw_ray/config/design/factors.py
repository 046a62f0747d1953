"""Levels of a design's factors, and the points they are crossed to."""

from itertools import product
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from l2rw_ray.config.field_path import FieldPath
from l2rw_ray.config.section import conflict


def _distinct(factors: dict[str, list[Any]]) -> dict[str, list[Any]]:
    for path, levels in factors.items():
        if path.startswith("trial."):
            raise conflict(path, levels, "paths start inside trial", f"write {path.removeprefix('trial.')}")
        twice = [level for place, level in enumerate(levels) if level in levels[:place]]
        if twice:
            raise conflict(path, twice[0], "the same level twice", "name each level once")
    return factors


Levels = Annotated[list[Any], Field(min_length=1)]
Factors = Annotated[dict[FieldPath, Levels], AfterValidator(_distinct)]
"""Levels to try, by path relative to `trial`; none twice."""


def crossed(factors: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return every combination of the levels, the last factor varying fastest; one empty point if none."""
    return [dict(zip(factors, levels, strict=True)) for levels in product(*factors.values())]
