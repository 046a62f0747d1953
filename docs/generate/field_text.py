"""Type, range and default of a study-file field in words, read from its JSON schema."""

import json
from collections.abc import Callable, Mapping
from typing import Any

Node = Mapping[str, Any]
"""A JSON schema, or a part of one."""

_PLURALS = {name: f"{name}s" for name in ("boolean", "integer", "number", "string", "import path")}
_BOUNDS = {
    "minimum": "≥ {:,}",
    "exclusiveMinimum": "> {:,}",
    "maximum": "≤ {:,}",
    "exclusiveMaximum": "< {:,}",
}
_SIZES = {
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "minProperties": "at least {} entries",
}


def type_text(node: Node, section_text: Callable[[Node], str]) -> str:
    """Return the type of a field.

    Args:
        node: The field.
        section_text: Names the section, or the sections by kind, that a part of the field refers to.
    """
    if "$ref" in node or "oneOf" in node:
        return section_text(node)
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(type_text(part, section_text) for part in node["anyOf"]))
    if "enum" in node or "const" in node:
        return "string"
    match node.get("type"):
        case "array" if "prefixItems" in node:
            kinds = dict.fromkeys(type_text(part, section_text) for part in node["prefixItems"])
            return f"list of {len(node['prefixItems'])}: {', '.join(kinds)}"
        case "array":
            each = type_text(node["items"], section_text) if node.get("items") else ""
            return f"list of {_PLURALS.get(each, each)}" if each else "list"
        case "object":
            values = node.get("additionalProperties")
            inner = type_text(values, section_text) if isinstance(values, Mapping) else ""
            return f"mapping to {inner}" if inner not in ("", "any value") else "mapping"
        case str(name):
            return str(node.get("format", name))
    return "any value"


def range_text(node: Node) -> str:
    """Return the values that a field takes, beyond its type; empty where its type says all."""
    if "anyOf" in node:
        return "; ".join(filter(None, map(range_text, node["anyOf"])))
    if "enum" in node:
        return ", ".join(f"`{_scalar(value)}`" for value in node["enum"])
    if "const" in node:
        return f"`{_scalar(node['const'])}`"
    found = [text.format(node[key]) for key, text in _BOUNDS.items() if key in node]
    if "prefixItems" not in node:
        found += [text.format(node[key]) for key, text in _SIZES.items() if key in node]
    if node.get("minLength"):
        found.append("not empty")
    if "pattern" in node:
        found.append(f"matches `{node['pattern']}`")
    items = node.get("items") or (node.get("prefixItems") or [None])[0]
    if items and (each := range_text(items)):
        found.append(f"each {each}")
    return ", ".join(found).replace("at least 1 entries", "at least 1 entry")


def default_text(node: Node, *, is_required: bool) -> str:
    """Return the default of a field as YAML, or that there is none."""
    if is_required:
        return "required"
    if "default" not in node:  # made by a factory: an empty mapping
        return "`{}`"
    default = node["default"]
    if "$ref" in node:
        return "its fields' defaults"
    if isinstance(default, Mapping):
        return f"`{{{', '.join(f'{key}: {_scalar(value)}' for key, value in default.items())}}}`"
    return f"`{_scalar(default)}`"


def _scalar(value: Any) -> str:
    """Return a value as it is written in YAML."""
    return value if isinstance(value, str) else json.dumps(value)
