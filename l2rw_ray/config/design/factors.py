"""Levels of a design's factors, and the points they are crossed to."""

import json
from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from l2rw_ray.config.design.changes import fields_of
from l2rw_ray.config.field_path import FieldPath
from l2rw_ray.config.section import conflict
from l2rw_ray.limits import MAX_LEVEL_CHARACTERS, MAX_TRIALS


def _distinct(factors: dict[str, list[Any]]) -> dict[str, list[Any]]:
    for path, levels in factors.items():
        if path.startswith("trial."):
            raise conflict(path, levels, "paths start inside trial", f"write {path.removeprefix('trial.')}")
        seen = set[Hashable]()
        for level in levels:
            text = json.dumps(level, sort_keys=True, default=str)
            if len(text) > MAX_LEVEL_CHARACTERS:
                problem = f"a level of {len(text):,} characters"
                raise conflict(path, text[:20], problem, f"use at most {MAX_LEVEL_CHARACTERS:,}")
            key = level if isinstance(level, Hashable) else text
            if key in seen:
                raise conflict(path, level, "the same level twice", "name each level once")
            seen.add(key)
    seen_in: dict[str, str] = {}
    for path, levels in factors.items():
        for field in sorted(fields_of({path: levels})):
            if field in seen_in:
                problem = f"{seen_in[field]} sets {field} too"
                raise conflict(path, levels, problem, "leave it out of one of the two")
            seen_in[field] = path
    points = prod(map(len, factors.values()))
    if points > MAX_TRIALS:
        path = max(factors, key=lambda each: len(factors[each]))
        problem = f"{points:,} combinations of levels"
        raise conflict(path, len(factors[path]), problem, f"use at most {MAX_TRIALS:,}, or a search")
    return factors


Levels = Annotated[list[Any], Field(min_length=1)]
Factors = Annotated[dict[FieldPath, Levels], AfterValidator(_distinct)]
"""Levels to try, by path relative to `trial`; none twice."""


def crossed(factors: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return every combination of the levels, the last factor varying fastest; one empty point if none."""
    return [dict(zip(factors, levels, strict=True)) for levels in product(*factors.values())]


def varied_fields(sections: Sequence[Any], name: str) -> list[str]:
    """Return the fields in which sections of one name differ; a field that is left out is another value."""
    named = [each for each in sections if isinstance(each, Mapping) and each.get("name") == name]
    fields = dict.fromkeys(field for section in named for field in section)
    return [
        field
        for field in fields
        if any(field not in each or each[field] != named[0].get(field) for each in named)
    ]
