"""Sections of a study file, in the order of the file, read from the configuration's JSON schema."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from l2rw_ray.config.custom import TIMM_NAME

Node = Mapping[str, Any]
"""A JSON schema, or a part of one."""

_NOTES = {
    "holds": "Holds {}.",
    "obtained": "To get it: {}.",
    "needs_classes": "For classes only.",
    "needs_targets": "For regressions only.",
    "needs_output_layer": "Needs a model that ends in a linear layer.",
    "needs_whole_train_set": "Not with `data.stream`.",
}
"""What a section's class says about itself in class variables, in words."""


_CUSTOM = ("custom", "package.module:attribute")
_FORMS = {TIMM_NAME: ("timm", "timm:architecture")}
"""Anchor and heading of kinds that are selected by the form of a name."""


class UndocumentedFieldError(Exception):
    """A field of the study file has no docstring."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a study file.

    Attributes:
        name: Its key in the file.
        path: Its path in the file; kinds of a section are a part of the path.
        node: Its JSON schema.
        is_required: Whether it has no default.
    """

    name: str
    path: str
    node: Node
    is_required: bool

    @property
    def text(self) -> str:
        """What it means, in Markdown; empty where it has no docstring."""
        return str(self.node.get("description", ""))


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a study file, or what all kinds of a section have in common.

    Attributes:
        path: Its path in the file, and its anchor.
        title: Its heading, in Markdown.
        level: How deep it is nested, 1 for the file itself.
        text: What it is, in Markdown.
        fields: Its fields, without the one that names its kind.
        names: The values of that field that select it.
        kinds: Its kinds, where this is what they have in common.
        is_kind: Whether it is a kind itself, and the others are those of drafts with another key.
    """

    path: str
    title: str
    level: int
    text: str
    fields: Sequence[Field]
    names: Sequence[str] = ()
    kinds: Sequence["Section"] = ()
    is_kind: bool = False


@dataclass(slots=True)
class StudySections:
    """Walks through the sections of a study file.

    Attributes:
        model: Class of the whole file.
        section_of: Sections by the name of their schema, filled by `walk`.
    """

    model: type[BaseModel]
    section_of: dict[str, Section] = field(default_factory=dict)
    _definitions: Mapping[str, Node] = field(default_factory=dict)

    def walk(self) -> list[Section]:
        """Return all sections; one that several fields share comes where it is met first.

        Raises:
            UndocumentedFieldError: A field has no docstring.
        """
        schema = self.model.model_json_schema(schema_generator=_SchemaWithNotes)
        self._definitions = schema.get("$defs", {})
        sections = list(self._with_inner(self._section(schema, "", "Study file", 1)))
        silent = [each.path for section in sections for each in section.fields if not each.text]
        if silent:
            raise UndocumentedFieldError(f"{', '.join(silent)}: no docstring; add one below the field")
        return sections

    def sections_in(self, node: Node) -> list[Section]:
        """Return the sections that the value of a field may be; call `walk` first."""
        return [self.section_of[name] for name in self._references(node)]

    def _references(self, node: Node) -> list[str]:
        names = [node["$ref"].rpartition("/")[2]] if "$ref" in node else []
        names += [name for part in _parts(node) for name in self._references(part)]
        return [name for name in dict.fromkeys(names) if "properties" in self._definitions[name]]

    def _section(
        self, schema: Node, path: str, title: str, level: int, left_out: Collection[str] = ()
    ) -> Section:
        text = "\n\n".join(filter(None, [schema.get("description", ""), *schema.get("notes", ())]))
        own = [name for name in schema["properties"] if name not in left_out]
        return Section(path, title, level, text, [_field(schema, name, path) for name in own])

    def _with_inner(self, section: Section) -> Iterator[Section]:
        yield section
        for kind in section.kinds:
            yield from self._with_inner(kind)
        for each in section.fields:
            new = [name for name in self._references(each.node) if name not in self.section_of]
            if new:
                yield from self._with_inner(self._first_met(each, new, section.level + 1))

    def _first_met(self, each: Field, names: Sequence[str], level: int) -> Section:
        tag = _tag_of(each.node)
        title = f"`{each.path}`"
        if tag is None:
            usual, *others = names
            found = self._section(self._definitions[usual], each.path, title, level)
            self.section_of[usual] = found
            kinds = [self._kind_by_key(name, each.path, level + 1) for name in others]
            return replace(found, kinds=kinds, is_kind=bool(kinds))
        shared = self._shared(names, tag)
        kinds = [self._kind(name, tag, each.path, shared, level + 1) for name in names]
        self.section_of.update(zip(names, kinds, strict=True))
        fields = [_field(self._definitions[names[0]], name, each.path) for name in shared]
        return Section(each.path, title, level, each.text, fields, kinds=kinds)

    def _kind(self, name: str, tag: str, path: str, shared: Collection[str], level: int) -> Section:
        schema = self._definitions[name]
        tagged = schema["properties"][tag]
        values = [tagged["const"]] if "const" in tagged else list(tagged.get("enum", ()))
        form = tagged.get("format", "")
        own_path = f"{path}.{values[0] if values else _FORMS.get(form, _CUSTOM)[0]}"
        own = self._section(schema, own_path, _kind_title(tag, values, form), level, {tag, *shared})
        return replace(own, names=values)

    def _kind_by_key(self, name: str, path: str, level: int) -> Section:
        """Return a kind of a section that is chosen by a key which no other kind has."""
        schema = self._definitions[name]
        key = schema["required"][0]
        found = self._section(schema, f"{path}.with-{key}", f"`{path}` with `{key}`", level)
        self.section_of[name] = found
        return found

    def _shared(self, names: Sequence[str], tag: str) -> list[str]:
        """Return the fields that all kinds of a section have, with equal schemas."""
        if len(names) < 2:
            return []
        first, *others = (self._definitions[name]["properties"] for name in names)
        return [
            name
            for name, node in first.items()
            if name != tag and all(other.get(name) == node for other in others)
        ]


def _kind_title(tag: str, names: Sequence[str], form: str) -> str:
    """Return the heading of a kind; without names it is named by their form, usually an import path."""
    if not names:
        return f"`{tag}: {_FORMS.get(form, _CUSTOM)[1]}`"
    if len(names) > 2:
        return f"`{tag}: {names[0]}` and {len(names) - 1} more"
    return " or ".join(f"`{tag}: {name}`" for name in names)


def _field(schema: Node, name: str, section_path: str) -> Field:
    node = schema["properties"][name]
    path = f"{section_path}.{name}".lstrip(".")
    return Field(name, path, node, name in schema.get("required", ()))


def _parts(node: Node) -> list[Node]:
    parts = [
        *node.get("anyOf", ()),
        *node.get("oneOf", ()),
        node.get("items"),
        node.get("additionalProperties"),
    ]
    return [part for part in parts if isinstance(part, Mapping)]


def _tag_of(node: Node) -> str | None:
    """Return the field that selects the kind of a section; None where there is one kind only."""
    if "discriminator" in node:
        return str(node["discriminator"]["propertyName"])
    return next((tag for part in _parts(node) if (tag := _tag_of(part))), None)


class _SchemaWithNotes(GenerateJsonSchema):
    """Adds to each section what its class says about itself."""

    def model_schema(self, schema: Any) -> dict[str, Any]:
        """Return the schema of a section, with its `notes`."""
        found = super().model_schema(schema)
        told = {name: getattr(schema["cls"], name, None) for name in _NOTES}
        notes = [_NOTES[name].format(value) for name, value in told.items() if value]
        return {**found, "notes": notes} if notes else found
