"""Sections that name custom code by an import path and pass options to it."""

from collections.abc import Collection, Container, Mapping
from keyword import iskeyword
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, JsonValue, field_validator

from l2rw_ray.config.section import Section, conflict
from l2rw_ray.errors import InputError
from l2rw_ray.import_path import is_import_path, is_of_timm, split_path

BUILT_IN = "built in"
IMPORT_PATH = "import path"
TIMM_NAME = "name of timm"
"""The forms of a name; they select the section's class before the name itself does."""


def form_of(name: object) -> str:
    """Return the form of a name, valid or not."""
    if is_of_timm(name):
        return TIMM_NAME
    return IMPORT_PATH if is_import_path(name) else BUILT_IN


def _well_formed(path: str) -> str:
    try:
        split_path(path, "")
    except InputError as error:
        raise conflict("", error.value, error.problem, error.remedy) from error
    return path


ImportPath = Annotated[str, AfterValidator(_well_formed), Field(json_schema_extra={"format": "import path"})]
"""`module.path:attribute`."""


class ByForm:
    """Selects among a section's classes by the form of its name.

    Args:
        tag: The key that holds the name, such as `source`.
        forms: Those that select a class, besides names that are built in.
    """

    def __init__(self, tag: str, forms: Collection[str] = (IMPORT_PATH,)) -> None:
        self.tag, self.forms = tag, forms
        self.__name__ = f"form of {tag}"  # pydantic shows it

    def __call__(self, given: Any) -> str:
        """Return the form of the name in a draft of the section, or in the section itself."""
        name = given.get(self.tag) if isinstance(given, dict) else getattr(given, self.tag, None)
        form = form_of(name)
        return form if form in self.forms else BUILT_IN


def by_form(tag: str, *others: str) -> Discriminator:
    """Return the discriminator of a union of `BUILT_IN` classes, one for any `IMPORT_PATH`, and others.

    Args:
        tag: The key that holds the name.
        others: Further forms of it, each of which has a class.
    """
    return Discriminator(ByForm(tag, (IMPORT_PATH, *others)))


class ByKey:
    """Selects among a section's classes by which key a draft has.

    Args:
        keys: Keys that one class each has, in order of precedence; they are the tags of these classes.
        default: Tag of the class for a draft with none of them.
    """

    def __init__(self, keys: tuple[str, ...], default: str) -> None:
        self.keys, self.default = keys, default
        self.__name__ = f"one of {', '.join(keys)}"  # pydantic shows it

    def __call__(self, given: Any) -> str:
        """Return the tag for a draft of the section, or for the section itself."""
        return self._tag(given) if isinstance(given, Mapping) else self.tag_of(type(given))

    def tag_of(self, kind: type) -> str:
        """Return the tag of a class."""
        return self._tag(getattr(kind, "model_fields", {}))

    def _tag(self, names: Container[str]) -> str:
        return next((key for key in self.keys if key in names), self.default)


def by_key(chooser: ByKey) -> Discriminator:
    """Return the discriminator of a union of classes of which each but one has a key of its own."""
    return Discriminator(chooser)


class CustomSection(Section):
    """A section whose name is an import path."""

    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments for what the path names."""

    @field_validator("options")
    @classmethod
    def _options_are_keywords(cls, options: dict[str, Any]) -> dict[str, Any]:
        for name, value in options.items():
            if not name.isidentifier() or iskeyword(name) or not name.isascii():
                raise conflict(name, value, "no name of an argument", "use a Python name")
        return options

    def __hash__(self) -> int:
        """Hash equal sections equally, though options are a dictionary."""
        return hash((type(self), *sorted(self.options)))
