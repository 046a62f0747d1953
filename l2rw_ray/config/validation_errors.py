"""Turn pydantic's errors into one line that names the field, the value and the remedy."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from l2rw_ray.config.custom import BUILT_IN
from l2rw_ray.config.overrides import Variants, entry_variants, input_names, paths_named, variants_of
from l2rw_ray.config.section import Section
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import in_environment, or_custom

_WANTED = {
    "greater_than": "use a number above {gt}",
    "greater_than_equal": "use {ge} or more",
    "less_than": "use a number below {lt}",
    "less_than_equal": "use {le} or less",
    "int_type": "use a whole number",
    "int_parsing": "use a whole number",
    "int_from_float": "use a whole number",
    "float_type": "use a number",
    "float_parsing": "use a number",
    "finite_number": "use a finite number",
    "bool_parsing": "use true or false",
    "bool_type": "use true or false",
    "string_type": "use text, in quotes if it looks like a number",
    "list_type": "write a list, such as [1, 2]",
    "tuple_type": "write a list, such as [1, 2]",
    "dict_type": "write a section of keys and values",
    "model_type": "write a section of keys and values",
    "model_attributes_type": "write a section of keys and values",
    "string_pattern_mismatch": "use lower-case letters, digits, - and _",
    "invalid-json-value": "use text, a number, true or false, a list or a section",
    "string_too_short": "write some text",
    "too_short": "give at least {min_length}",
}
_PROBLEMS = {
    "list_type": "no list",
    "tuple_type": "no list",
    "dict_type": "no section",
    "model_type": "no section",
    "model_attributes_type": "no section",
    "too_short": "too few",
}
"""Replacements for pydantic messages that speak of Python."""
_REFERENCE = "Reference > Study file in the documentation"
_MAX_PLACES = 3
"""Largest number of other sections to suggest for a field that is in the wrong one."""
_MANY, _SHOWN = 50, 18
"""Of more names than the first number, only as many as the second are shown."""


def as_config_error(error: ValidationError, section: type[Section], prefix: str = "") -> ConfigError:
    """Return the first error of a failed validation, in the words of the study file.

    Args:
        error: What pydantic raised.
        section: The class that was validated.
        prefix: Path of the validated section inside the study file, such as `trial`.
    """
    details = error.errors()
    first = min(details, key=_comes_later)
    path, holder = _walk(first["loc"], section)
    context: Mapping[str, Any] = first.get("ctx", {})
    value, problem = first["input"], first["msg"][:1].lower() + first["msg"][1:]
    match first["type"]:
        case "conflict":
            path = ".".join(part for part in (path, context["field"]) if part).replace(".[", "[")
            value, problem, remedy = context["value"], context["problem"], context["remedy"]
        case "extra_forbidden":
            problem, remedy = "no such field", _nearest_field(path, holder, section)
        case "missing":
            value, problem, remedy = None, "required but missing", "add it"
        case "union_tag_not_found":
            tag = context["discriminator"].strip("'")
            path, value = f"{path}.{tag}", None
            problem, remedy = "required but missing", "add it"
        case "union_tag_invalid":
            path = f"{path}.{context['discriminator'].strip(chr(39))}"
            known = [name.strip(" '") for name in context["expected_tags"].split(",")]
            value, problem, remedy = context["tag"], "unknown", closest(context["tag"], known)
        case "literal_error":
            problem, remedy = "unknown", f"use {context['expected']}"
        case kind:
            problem = _PROBLEMS.get(kind, problem)
            remedy = _WANTED.get(kind, f"see {_REFERENCE}").format(**context)
    if problem == "unknown" and BUILT_IN in first["loc"][-2:]:
        remedy = or_custom(remedy) if (written := _as_import_path(value)) is None else f"write {written!r}"
    # a union has an error for each form
    fields = {_walk(each["loc"], section)[0] for each in details}
    others = len(fields) - 1
    if others > 0:
        remedy = f"{remedy} (and {others} more error{'s' if others > 1 else ''})"
    return ConfigError(".".join(part for part in (prefix, path) if part), _plain(value), problem, remedy)


def _comes_later(detail: ErrorDetails) -> int:
    """Return the sort key of an error: an unknown key comes first, since a typo explains the rest."""
    return 0 if detail["type"] == "extra_forbidden" else 1


def _walk(loc: Sequence[int | str], section: type[Section]) -> tuple[str, type[Section]]:
    """Return the dotted path of a location without union tags, and the class that holds its last key."""
    path = ""
    holder, keyed = section, True
    variants, entries = Variants(None, {}), None
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part == BUILT_IN:  # which of them, the next part tells where there are several
            holder = next(iter(variants.classes.values()))
        elif part in variants.classes:
            holder = variants.classes[part]
            if variants.chooser is not None:  # a key of the class may be named as its tag is
                variants = Variants(None, {})
        elif keyed:
            path = f"{path}.{part}" if path else part
            variants = entries or variants_of(holder, part)
            entries = None if entries else entry_variants(holder, part)
            keyed = bool(variants.classes) or entries is not None
            holder = variants.classes.get(None, holder)
    return path, holder


def _nearest_field(path: str, holder: type[Section], root: type[Section]) -> str:
    """Return the remedy for an unknown key: the same name in a section below, or elsewhere, or a near one."""
    name = path.rpartition(".")[2]
    everywhere = paths_named(root, name)
    if path not in everywhere:  # else another variant of the section has it
        below = paths_named(holder, name) or everywhere
        places = [place for place, is_shared in below.items() if is_shared] or sorted(below)
        if 0 < len(places) <= _MAX_PLACES:
            return f"did you mean {' or '.join(map(repr, places))}?"
    return closest(name, input_names(holder))


def _as_import_path(name: object) -> str | None:
    """Return `package.module:attribute` for `package.module.attribute` of an installed package, else None."""
    parts = str(name).split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts) or in_environment(parts[0]) is None:
        return None
    return f"{'.'.join(parts[:-1])}:{parts[-1]}"


def _plain(value: Any) -> Any:
    """Return a value as a study file writes it: a tuple is a list."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def closest(given: str, known: Collection[str]) -> str:
    """Return the remedy for an unknown name: the nearest known name, or the known ones."""
    spelled = [name for name in known if name.casefold() == str(given).casefold()]
    near = spelled or difflib.get_close_matches(str(given), known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    if len(known) > _MANY:
        return f"use one of {', '.join(list(known)[:_SHOWN])} … ({len(known)} in all, see {_REFERENCE})"
    return "use one of " + ", ".join(sorted(known))
