"""Parse YAML within bounds: a text can ask for more memory and deeper recursion than it has characters."""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from l2rw_ray.errors import InputError
from l2rw_ray.limits import MAX_INTEGER, MAX_SCALAR_CHARACTERS
from l2rw_ray.printable import is_unicode

MAX_CHARACTERS = 4 * 2**20
MAX_DEPTH = 50
"""Largest number of sections and lists inside each other; a study has about ten."""
MAX_VALUES = 50_000
"""Largest number of values once aliases are replaced by what they stand for."""


def parse_yaml(text: str, origin: str) -> Any:
    """Parse one YAML document of plain values.

    Args:
        text: The document.
        origin: Field, option or file that it comes from, for error messages.

    Raises:
        InputError: It is no YAML, nested deeper than `MAX_DEPTH`, or holds more than `MAX_VALUES` values.
    """
    if len(text) > MAX_CHARACTERS:
        problem = f"more than {MAX_CHARACTERS:,} characters"
        raise InputError(origin, text[:20], problem, "give a study file, which is shorter")
    try:
        _check_size(text, origin)
        value = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError) as error:  # ValueError: a value that its own tag (!!float, !!int) refuses
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "not readable"
        shown = _line(text, mark.line if mark else 0)
        raise InputError(origin, shown, f"{where}{problem}", "fix the YAML syntax") from error
    _check_integers(value, origin)
    return _with_whole_characters(value)


def _check_integers(value: Any, origin: str) -> None:
    """Check that no integer is larger than what computers count with; Python refuses to print such."""
    if isinstance(value, dict | list | tuple | set):
        for inner in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_integers(inner, origin)
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        problem = f"a number of {value.bit_length():,} bits"
        raise InputError(origin, hex(value)[:20], problem, "use at most 63 bits")


class _Size:
    """Counts values as events of the parser arrive, aliases as what they stand for.

    Attributes:
        values: How many there are so far.
        characters: Those of all texts and numbers so far.
        depth: Sections and lists that are open.
    """

    def __init__(self) -> None:
        self.values = self.characters = 0
        self._open: list[tuple[str | None, int, int]] = []
        self._by_anchor: dict[str, tuple[int, int]] = {}

    @property
    def depth(self) -> int:
        return len(self._open)

    def add(self, event: Event) -> None:
        """Count one event.

        Raises:
            KeyError: An alias stands for what it is in, or for nothing.
        """
        match event:
            case AliasEvent():
                values, characters = self._by_anchor[event.anchor]
                self.values, self.characters = self.values + values, self.characters + characters
            case ScalarEvent():
                self.values += 1
                self.characters += len(event.value)
                self._note(event.anchor, 1, len(event.value))
            case MappingStartEvent() | SequenceStartEvent():
                self._by_anchor.pop(event.anchor, None)
                self._open.append((event.anchor, self.values, self.characters))
                self.values += 1
            case _ if self._open and not isinstance(event, NodeEvent):  # the end of one of the two
                anchor, values, characters = self._open.pop()
                self._note(anchor, self.values - values, self.characters - characters)

    def _note(self, anchor: str | None, values: int, characters: int) -> None:
        if anchor is not None:
            self._by_anchor[anchor] = values, characters


def _check_size(text: str, origin: str) -> None:
    """Check depth and number of values before anything is built from them."""
    size = _Size()
    for event in YAML(typ="safe", pure=True).parse(text):
        try:
            size.add(event)
        except KeyError:
            problem, remedy = "an alias stands for nothing, or for what it is in", "define its anchor before"
            raise _error(text, origin, event, problem, remedy) from None
        if size.depth > MAX_DEPTH:
            problem = f"more than {MAX_DEPTH} sections and lists inside each other"
            raise _error(text, origin, event, problem, "nest them less deeply")
        if isinstance(event, ScalarEvent) and len(event.value) > MAX_SCALAR_CHARACTERS:
            problem = f"a text of more than {MAX_SCALAR_CHARACTERS:,} characters"
            raise _error(text, origin, event, problem, "shorten it")
        if isinstance(event, ScalarEvent) and not is_unicode(_joined(event.value)):
            problem = "an escape of half a character (\\ud800 to \\udfff)"
            raise _error(text, origin, event, problem, "write the character itself")
        if size.characters > MAX_CHARACTERS:
            problem = f"more than {MAX_CHARACTERS:,} characters, aliases counted as what they stand for"
            raise _error(text, origin, event, problem, "use fewer")
        if size.values > MAX_VALUES:
            problem = f"more than {MAX_VALUES:,} values, aliases counted as what they stand for"
            raise _error(text, origin, event, problem, "use fewer")


def _joined(text: str) -> str:
    """Return a text whose characters beyond 16 bits, which JSON escapes in two halves, are whole."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _with_whole_characters(value: Any) -> Any:
    match value:
        case dict():
            return {_with_whole_characters(key): _with_whole_characters(own) for key, own in value.items()}
        case list() | tuple() | set():
            return type(value)(map(_with_whole_characters, value))
        case str() if not is_unicode(value):
            return _joined(value)
    return value


def _error(text: str, origin: str, event: Event, problem: str, remedy: str) -> InputError:
    line = event.start_mark.line
    return InputError(origin, _line(text, line), f"line {line + 1}: {problem}", remedy)


def _line(text: str, number: int) -> str:
    """Return a line of the text, from 0; the last one where there are fewer."""
    lines = text.splitlines() or [""]
    return lines[min(number, len(lines) - 1)].strip()
