"""Factors of a design, and the settings in which methods are compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.report.design_points.labels import factor_name, level_text

_MAX_IN_HEADING = 3


@dataclass(frozen=True)
class Factor:
    """A factor that the design varies.

    Attributes:
        path: Path relative to `trial`.
        levels: Its levels in plan order; lists and sections as JSON text.
    """

    path: str
    levels: tuple[Any, ...]

    @property
    def name(self) -> str:
        """Readable name."""
        return factor_name(self.path)

    @property
    def is_ordered(self) -> bool:
        """Whether all levels are numbers, so that a line may connect them."""
        return all(isinstance(level, int | float) and not isinstance(level, bool) for level in self.levels)

    def text(self, level: Any) -> str:
        """Return the readable level."""
        return level_text(self.path, level)


@dataclass(frozen=True)
class Setting:
    """One combination of levels of some factors: `(path, level)` pairs."""

    levels: tuple[tuple[str, Any], ...]

    @property
    def text(self) -> str:
        """The levels in words, with the names of the factors."""
        named = (f"{factor_name(path)} {level_text(path, level)}" for path, level in self.levels)
        return ", ".join(named) or "all trials"

    def level(self, path: str) -> Any:
        """Return the level of one of its factors; None if it lacks the factor."""
        return dict(self.levels).get(path)

    def covers(self, other: "Setting") -> bool:
        """Return whether another setting has all levels of this one, and perhaps more.

        A method without some factor has one design point, which applies at every level of that factor.
        """
        return set(self.levels) <= set(other.levels)

    def without(self, path: str) -> "Setting":
        """Return the setting without one factor."""
        return Setting(tuple(pair for pair in self.levels if pair[0] != path))

    def meets(self, others: Iterable["Setting"]) -> bool:
        """Return whether it covers one of the settings, or is covered by one."""
        return any(self.covers(other) or other.covers(self) for other in others)


class CoveringIndex:
    """Settings, looked up by a setting that they cover, without looking at each of them.

    Args:
        settings: Distinct settings.
    """

    def __init__(self, settings: Iterable[Setting]) -> None:
        self._by_paths: dict[frozenset[str], dict[frozenset[tuple[str, Any]], list[tuple[int, Setting]]]] = {}
        for place, setting in enumerate(settings):
            levels = frozenset(setting.levels)
            paths = frozenset(path for path, _ in levels)
            self._by_paths.setdefault(paths, {}).setdefault(levels, []).append((place, setting))

    def covering(self, setting: Setting) -> list[Setting]:
        """Return the settings that cover this one, in their order."""
        found: list[tuple[int, Setting]] = []
        own = dict(setting.levels)
        for paths, by_levels in self._by_paths.items():
            if paths <= own.keys():
                found += by_levels.get(frozenset((path, own[path]) for path in paths), [])
        return [setting for _, setting in sorted(found, key=lambda each: each[0])]


def point_name(method: str, setting: Setting) -> str:
    """Return the readable name of a design point; that of a variant goes without the method."""
    if VARIANT in dict(setting.levels):
        return setting.text
    return f"{method}, {setting.text}" if setting.levels else method


def short_names(settings: Sequence[Setting]) -> tuple[str, tuple[str, ...]]:
    """Return a heading with the names of the factors, and the names of the settings below it."""
    paths = {tuple(path for path, _ in setting.levels) for setting in settings}
    if len(paths) != 1 or not 1 <= len(min(paths)) <= _MAX_IN_HEADING:
        return "setting", tuple(setting.text for setting in settings)
    names = (" · ".join(level_text(path, level) for path, level in each.levels) for each in settings)
    return " · ".join(map(factor_name, min(paths))), tuple(names)


def narrowest(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    """Return the distinct settings in order, without those that cover another one."""
    distinct = tuple(dict.fromkeys(settings))
    if len({len(setting.levels) for setting in distinct}) < 2:
        return distinct
    index = CoveringIndex(distinct)
    wider = {found for setting in distinct for found in index.covering(setting) if found != setting}
    return tuple(setting for setting in distinct if setting not in wider)
