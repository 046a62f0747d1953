"""Walk a draft of a configuration along the section classes it will be validated against."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Discriminator
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from l2rw_ray.config.custom import BUILT_IN, IMPORT_PATH, TIMM_NAME, ByForm, ByKey, form_of
from l2rw_ray.config.field_path import has_paths
from l2rw_ray.config.section import Section
from l2rw_ray.errors import ConfigError

Tree = dict[str, Any]
_MAX_KEYS = 50


@dataclass(frozen=True)
class Variants:
    """The section classes a field may hold.

    Attributes:
        tag: Key that selects among several, such as `source`; None where there is no choice.
        classes: Class by value of the tag, that for any import path under `IMPORT_PATH`; one entry
            under None where there is no choice.
        chooser: Selects among the classes by the keys of a draft, instead of a tag; None where a tag does.
    """

    tag: str | None
    classes: Mapping[Any, type[Section]]
    chooser: ByKey | None = None

    @property
    def usual(self) -> set[type[Section]]:
        """The classes that a remedy looks at: of those chosen by a key, the one for drafts without any."""
        if self.chooser is not None:
            return {self.classes[self.chooser.default]}
        return set(self.classes.values())

    def chosen(self, draft: Mapping[str, Any]) -> type[Section] | None:
        """Return the class a draft of the section selects, None where its tag is missing or unknown."""
        if self.chooser is not None:
            return self.classes[self.chooser(draft)]
        key = draft.get(self.tag) if self.tag else None
        form = form_of(key)
        if form != BUILT_IN:
            key = form
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
    keys = _chooser(field.discriminator)
    if isinstance(keys, ByKey):
        kinds = _sections(field.annotation)
        return Variants(None, {keys.tag_of(kind): kind for kind in kinds}, keys)
    return _variants(field.annotation, _tag(field.discriminator) or _tag_inside(field.annotation))


def entry_variants(section: type[Section], name: str) -> Variants | None:
    """Return the section classes that the values of a mapping may be; None where the field is no mapping."""
    mapping = _mapping(section, name)
    return None if mapping is None else _entry_variants(get_args(mapping)[1])


def _entry_variants(value: Any) -> Variants:
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
    chooser = _chooser(discriminator)
    return chooser.tag if isinstance(chooser, ByForm) else chooser if isinstance(chooser, str) else None


def _chooser(discriminator: str | Discriminator | None) -> Any:
    return discriminator.discriminator if isinstance(discriminator, Discriminator) else discriminator


def _tag_inside(annotation: Any) -> str | None:
    """Return the key that selects a class in a part of a union, such as a section or null."""
    marked = [part for part in get_args(annotation) if get_origin(part) is Annotated]
    notes = (note for part in marked for note in get_args(part)[1:] if isinstance(note, FieldInfo))
    return next((tag for note in notes if (tag := _tag(note.discriminator))), None)


def _sections(annotation: Any) -> list[type[Section]]:
    """Return the classes of a union, also of unions within it."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, Section) else []
    parts = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return [section for part in parts for section in _sections(part)]


def _tag_values(section: type[Section], tag: str) -> tuple[str, ...]:
    field = section.model_fields[tag]
    if get_origin(field.annotation) is Literal:
        return get_args(field.annotation)
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return (TIMM_NAME,) if extra.get("format") == TIMM_NAME else (IMPORT_PATH,)


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


def paths_named(section: type[Section], name: str) -> dict[str, bool]:
    """Return the paths inside a section whose last part is `name`, and whether all variants have each."""
    found: dict[str, bool] = {}
    for own, field in section.model_fields.items():
        if get_origin(field.annotation) is tuple:
            continue  # a path does not lead into a list
        kinds = variants_of(section, own).usual
        below = [
            {name: True} | paths_named(kind, name) if name in input_names(kind) else paths_named(kind, name)
            for kind in kinds
        ]
        for path in dict.fromkeys(path for paths in below for path in paths):
            found[f"{own}.{path}"] = all(paths.get(path, False) for paths in below)
    return found


def assign(draft: Tree, path: str, value: Any, section: type[Section] | None) -> Tree:
    """Return a copy of `draft` with `value` at `path`.

    Where that selects another variant of a section (another method, source or kind of bias), the
    fields that only the former variant had are dropped.

    Args:
        draft: Configuration as read from a file, valid or not.
        path: Dotted path, such as `data.bias.level`, or `design.factors.optim.lr`.
        value: What to put there.
        section: The class that `draft` will be validated against.

    Raises:
        ConfigError: The path leads through a plain value, or has an empty part.
    """
    keys = path.split(".")
    if not all(keys):
        remedy = f"write {'.'.join(key for key in keys if key)}" if any(keys) else "name a field"
        raise ConfigError(path, value, "a part of the path is empty", remedy)
    if len(keys) > _MAX_KEYS:
        raise ConfigError(keys[0], value, f"a path of {len(keys)} parts", "name a field of a study")
    return _assign(draft, keys, value, section, path)


def _assign(draft: Tree, keys: list[str], value: Any, section: type[Section] | None, path: str) -> Tree:
    head, rest = _first_key(draft, keys)
    if not rest:
        return {**draft, head: value}
    inner, mapping = _inner(draft, head, value, path), _mapping(section, head)
    if mapping is not None:
        return {**draft, head: _assign_entry(inner, rest, value, mapping, path)}
    return {**draft, head: _assign_inside(inner, rest, value, variants_of(section, head), path)}


def _assign_inside(draft: Tree, keys: list[str], value: Any, variants: Variants, path: str) -> Tree:
    """Assign within a section of one of several classes."""
    former = variants.chosen(draft)
    changed = _assign(draft, keys, value, former, path)
    return variants.own_fields(changed, former) if keys == [variants.tag] else changed


def _assign_entry(draft: Tree, keys: list[str], value: Any, mapping: Any, path: str) -> Tree:
    """Assign within a mapping, whose keys may be paths themselves."""
    entry = get_args(mapping)[1]
    variants = _entry_variants(entry)
    key, rest = _first_key(draft, keys)
    if has_paths(mapping) and key not in draft:
        is_of_entry = bool(variants.classes) and not isinstance(value, Mapping)  # the last key is its field
        end = len(keys) - is_of_entry
        key, rest = ".".join(keys[:end]), keys[end:]
    if not rest or not key:
        return {**draft, key or keys[0]: value}
    inner, nested = _inner(draft, key, value, path), _as_mapping(entry)
    if nested is not None:
        return {**draft, key: _assign_entry(inner, rest, value, nested, path)}
    return {**draft, key: _assign_inside(inner, rest, value, variants, path)}


def _inner(draft: Tree, key: str, value: Any, path: str) -> Tree:
    """Return the section under a key, an empty one where there is none."""
    inner = draft.get(key)
    if inner is not None and not isinstance(inner, dict):
        raise ConfigError(path, value, f"{key!r} holds a value, not a section", f"set {key!r} itself")
    return inner or {}


def _mapping(section: type[Section] | None, name: str) -> Any:
    """Return the annotation of a field that is a mapping; None for any other."""
    field = section.model_fields.get(name) if section else None
    return None if field is None else _as_mapping(field.annotation)


def _as_mapping(annotation: Any) -> Any:
    plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return plain if get_origin(plain) is dict else None


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
