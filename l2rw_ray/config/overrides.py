"""Walk a draft of a configuration along the section classes it will be validated against."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Discriminator
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from l2rw_ray.config.custom import IMPORT_PATH, ByForm
from l2rw_ray.config.section import Section
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import is_import_path

Tree = dict[str, Any]


@dataclass(frozen=True)
class Variants:
    """The section classes a field may hold.

    Attributes:
        tag: Key that selects among several, such as `source`; None where there is no choice.
        classes: Class by value of the tag, that for any import path under `IMPORT_PATH`; one entry
            under None where there is no choice.
    """

    tag: str | None
    classes: Mapping[Any, type[Section]]

    def chosen(self, draft: Mapping[str, Any]) -> type[Section] | None:
        """Return the class a draft of the section selects, None where its tag is missing or unknown."""
        key = draft.get(self.tag) if self.tag else None
        if is_import_path(key):
            key = IMPORT_PATH
        return self.classes.get(key) if key is None or isinstance(key, str) else None

    def own_fields(self, draft: Mapping[str, Any], former: type[Section] | None = None) -> Tree:
        """Return the draft without the fields that the class it selects does not have.

        Args:
            draft: Of the section.
            former: The class it selected before: what stands at its default takes the new one's, where
                that is another, so that resolved studies plan what they were resolved from.
        """
        section = self.chosen(draft)
        if section is None:
            return dict(draft)
        old, new = _defaults(former) if former else {}, _defaults(section)
        return {
            name: value
            for name, value in draft.items()
            if name in input_names(section)
            and not (name in old and name in new and value == old[name] != new[name])
        }


def variants_of(section: type[Section] | None, name: str) -> Variants:
    """Return the section classes of field `name` of `section`, or of its entries; none for a plain value."""
    field = section.model_fields.get(name) if section else None
    if field is None or get_origin(field.annotation) is dict:
        return Variants(None, {})
    return _variants(field.annotation, _tag(field.discriminator))


def entry_variants(section: type[Section], name: str) -> Variants | None:
    """Return the section classes that the values of a mapping may be; None where the field is no mapping."""
    field = section.model_fields.get(name)
    if field is None or get_origin(field.annotation) is not dict:
        return None
    value = get_args(field.annotation)[1]
    if get_origin(value) is not Annotated:
        return _variants(value, None)
    kinds, *notes = get_args(value)
    tags = (_tag(note.discriminator) for note in notes if isinstance(note, FieldInfo))
    return _variants(kinds, next((tag for tag in tags if tag), None))


def _variants(annotation: Any, tag: str | None) -> Variants:
    classes = _sections(annotation)
    if tag is None:
        return Variants(None, dict.fromkeys([None], classes[0]) if classes else {})
    return Variants(tag, {value: kind for kind in classes for value in _tag_values(kind, tag)})


def _tag(discriminator: str | Discriminator | None) -> str | None:
    chooser = discriminator.discriminator if isinstance(discriminator, Discriminator) else discriminator
    return chooser.tag if isinstance(chooser, ByForm) else chooser if isinstance(chooser, str) else None


def _sections(annotation: Any) -> list[type[Section]]:
    """Return the classes of a union, also of unions within it."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, Section) else []
    parts = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return [section for part in parts for section in _sections(part)]


def _tag_values(section: type[Section], tag: str) -> tuple[str, ...]:
    annotation = section.model_fields[tag].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else (IMPORT_PATH,)


def _defaults(section: type[Section]) -> Tree:
    """Return the defaults of the fields that have one, as a study file says them."""
    return {
        field.alias or name: to_jsonable_python(field.default)
        for name, field in section.model_fields.items()
        if not field.is_required() and field.default_factory is None
    }


def input_names(section: type[Section]) -> set[str]:
    """Return the keys a study file may use in this section."""
    return {field.alias or name for name, field in section.model_fields.items()}


def assign(draft: Tree, path: str, value: Any, section: type[Section] | None) -> Tree:
    """Return a copy of `draft` with `value` at `path`.

    Where that selects another variant of a section (another method, source or kind of bias), the
    fields that only the former variant had are dropped.

    Args:
        draft: Configuration as read from a file, valid or not.
        path: Dotted path, such as `data.bias.level`.
        value: What to put there.
        section: The class that `draft` will be validated against.

    Raises:
        ConfigError: The path leads through a plain value.
    """
    return _assign(draft, path.split("."), value, section, path)


def _assign(draft: Tree, keys: list[str], value: Any, section: type[Section] | None, path: str) -> Tree:
    head, rest = _first_key(draft, keys)
    if not rest:
        return {**draft, head: value}
    inner = draft.get(head)
    if inner is not None and not isinstance(inner, dict):
        raise ConfigError(path, value, f"{head!r} holds a value, not a section", f"set {head!r} itself")
    variants = variants_of(section, head)
    changed = _assign(inner or {}, rest, value, variants.chosen(inner or {}), path)
    if rest == [variants.tag]:
        changed = variants.own_fields(changed, variants.chosen(inner or {}))
    return {**draft, head: changed}


def _first_key(draft: Tree, keys: list[str]) -> tuple[str, list[str]]:
    """Return the first key and those after it; factors and parameters are keys that are paths themselves."""
    for length in range(len(keys), 1, -1):
        key = ".".join(keys[:length])
        if key in draft:
            return key, keys[length:]
    return keys[0], keys[1:]


def look_up(draft: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path, None where the path ends early."""
    here: Any = draft
    for part in path.split("."):
        if not isinstance(here, Mapping):
            return None
        here = here.get(part)
    return here
