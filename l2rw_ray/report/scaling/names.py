"""Readable names of points and groups of points, reduced to what they differ in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from l2rw_ray.report.design_points.labels import factor_name, level_text
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.scaling.points import (
    BATCH,
    DEPTH,
    ESTIMATOR,
    FAMILY,
    META,
    PARAMETERS,
    TRAIN,
    UPDATES,
    WIDTH,
    WORKERS,
    ScalingPoint,
)

LEFT_OUT = "Names list what differs from the first one."
_MODEL = (FAMILY, DEPTH, WIDTH)
_ORDER = (*_MODEL, BATCH, META, UPDATES, TRAIN, WORKERS)
_FORMS = {
    BATCH: "batch {}",
    META: "meta batch {}",
    DEPTH: "{} layers",
    WIDTH: "width {}",
    UPDATES: "weights every {} steps",
    TRAIN: "{} train examples",
    WORKERS: "{} workers",
}
_ONE = {UPDATES: "weights every step", WORKERS: "1 worker"}


def names_of(groups: Sequence[tuple[ScalingPoint, Setting]]) -> tuple[str, ...]:
    """Return names that distinguish groups of points.

    If most groups share a level, and the first has all such levels, the first is named in full and the
    others by the levels in which they differ from it.

    Args:
        groups: A point of each group, and the facets that its points share.
    """
    settings = [dict(setting.levels) for _, setting in groups]
    varied = [path for path in _paths(settings) if len({setting.get(path) for setting in settings}) > 1]
    common = _common(settings, varied)
    return tuple(
        _name(point, setting, varied if setting == groups[0][1] else _differing(setting, varied, common))
        for point, setting in groups
    )


def estimator_name(name: object) -> str:
    """Return the name of an estimator in words."""
    return str(name).replace("_", " ")


def _paths(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return all facets, sizes first and the estimator last."""
    paths = {path for setting in settings for path in setting} - {PARAMETERS}
    known = [path for path in _ORDER if path in paths]
    rest = sorted(paths - {*_ORDER, ESTIMATOR})
    return [*known, *rest, *([ESTIMATOR] if ESTIMATOR in paths else [])]


def _common(settings: Sequence[Mapping[str, Any]], varied: Sequence[str]) -> dict[str, Any]:
    """Return the level of each facet that most groups share; empty unless the first group has all."""
    found = {}
    for path in varied:
        level, number = Counter(setting.get(path) for setting in settings).most_common(1)[0]
        if 2 * number > len(settings):
            found[path] = level
    first = settings[0] if settings else {}
    return found if all(first.get(path) == level for path, level in found.items()) else {}


def _differing(setting: Setting, varied: Sequence[str], common: Mapping[str, Any]) -> list[str]:
    own = dict(setting.levels)
    differing = [path for path in varied if path not in common or own.get(path) != common[path]]
    return differing or list(varied)


def _name(point: ScalingPoint, setting: Setting, paths: Sequence[str]) -> str:
    own = dict(setting.levels)
    words = [_model(point, own)] if set(paths) & set(_MODEL) else []
    words += [_named(path, own[path]) for path in paths if path in own and path not in _MODEL]
    return ", ".join(words) or point.model


def _model(point: ScalingPoint, own: Mapping[str, Any]) -> str:
    """Return the name of the model, or of its family if depth or width are not fixed."""
    if all(own.get(path) == point.facets.level(path) for path in _MODEL):
        options = [_named(path, own[path]) for path in (DEPTH, WIDTH) if path in own]
        return ", ".join([point.model, *(options if point.model == own[FAMILY] else [])])
    return ", ".join([str(own[FAMILY]), *(_named(path, own[path]) for path in (DEPTH, WIDTH) if path in own)])


def _named(path: str, level: Any) -> str:
    if path == ESTIMATOR:
        return estimator_name(level)
    if level == 1 and path in _ONE:
        return _ONE[path]
    if path in _FORMS:
        return _FORMS[path].format(level_text(path, level))
    return f"{factor_name(path)} {level_text(path, level)}"
