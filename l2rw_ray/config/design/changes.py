"""Changes of fields by path, as variants and arms make them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from l2rw_ray.config.field_path import FieldPath
from l2rw_ray.config.overrides import Variants, variants_of
from l2rw_ray.config.section import Section, conflict
from l2rw_ray.config.trial import TrialConfig


def _flattened(changes: dict[str, Any]) -> dict[str, Any]:
    """Return `{optim: {lr: 0.1}}` as `{optim.lr: 0.1}`; a section that selects its variant stays whole."""
    leaves = [leaf for path, value in changes.items() for leaf in _leaves(path, value)]
    seen: dict[str, Any] = {}
    for path, value in leaves:
        for field, each in single_changes({path: value}).items():
            if field in seen:
                raise conflict(field, each, f"it is set to {seen[field]!r} too", "name it once")
            seen[field] = each
    return dict(leaves)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    variants = _variants_at(path)
    is_section = isinstance(value, Mapping) and bool(value)
    is_part = is_section and variants.tag is not None and variants.tag not in value
    if not is_part and not (is_section and path == "resources"):
        yield path, value
        return
    for name, inner in value.items():
        yield from _leaves(f"{path}.{name}", inner)


def _variants_at(path: str) -> Variants:
    """Return the classes of the section at a path, whichever variants the sections around it are of."""
    holders: list[type[Section]] = [TrialConfig]
    found = Variants(None, {})
    for name in path.split("."):
        options = (variants_of(holder, name) for holder in holders)
        found = next((variants for variants in options if variants.classes), Variants(None, {}))
        holders = list(found.classes.values())
    return found


def single_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes with one path for each field, also of sections that are replaced as a whole.

    Args:
        changes: Values by path, such as `{method: {name: finetune_meta, finetune_epochs: 10}}`.
    """
    single: dict[str, Any] = {}
    for path, value in changes.items():
        if isinstance(value, Mapping) and _variants_at(path).classes:
            single |= single_changes({f"{path}.{name}": inner for name, inner in value.items()})
        else:
            single[path] = value
    return single


def fields_of(factors: Mapping[str, Sequence[Any]]) -> set[str]:
    """Return the paths of all fields that some level of these factors sets."""
    return {
        field
        for path, levels in factors.items()
        for level in levels
        for field in single_changes({path: level})
    }


Changes = Annotated[dict[FieldPath, Any], AfterValidator(_flattened)]
"""Values by path relative to `trial`; sections may be nested."""
