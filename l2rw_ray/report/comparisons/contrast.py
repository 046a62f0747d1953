"""The comparison of a study: which levels are compared with which."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.comparisons.example_errors import averaged, with_example_error
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.labels import HEADLINE, metric_spec_for
from l2rw_ray.report.design_points.points import METHOD_FACTOR
from l2rw_ray.report.design_points.setting import CoveringIndex, Factor, Setting, narrowest
from l2rw_ray.statistics import Difference, pooled_paired_difference
from l2rw_ray.statistics.comparisons import ranked_paired_difference

_PREFERRED_CONTROL = "uniform"
_PREFERRED_HEADLINE = "l2rw"


class HasSetting(Protocol):
    """A design point, or a trial of a design point."""

    @property
    def method(self) -> str:
        """Name of its method."""

    @property
    def setting(self) -> Setting:
        """Levels of all factors but the method."""


P = TypeVar("P", bound=HasSetting)


@dataclass(frozen=True)
class Pair(Generic[P]):
    """Two design points that differ in the contrasted factor only.

    Attributes:
        position: Place of the setting in the plan.
        setting: Levels of the factors that are not compared, if one of the two points has them.
        treatment: The point that is compared.
        control: The point it is compared with.
    """

    position: int
    setting: Setting
    treatment: P
    control: P


@dataclass(frozen=True)
class Contrast:
    """The levels of a factor that are compared.

    Attributes:
        factor: The method, or the first factor of a design with one method.
        control: The level that the others are compared with.
        treatments: The other levels, the headline first.
    """

    factor: Factor
    control: Any
    treatments: tuple[Any, ...]

    def with_first(self, name: str) -> "Contrast":
        """Return the contrast with the treatment of this name first; itself if it has none."""
        treatments = sorted(self.treatments, key=lambda level: self.name(level) != name)
        return replace(self, treatments=tuple(treatments))

    def level_of(self, point: HasSetting) -> Any:
        """Return the level of the contrasted factor at a point."""
        return point.method if self.factor.path == METHOD_FACTOR else point.setting.level(self.factor.path)

    def rest_of(self, setting: Setting) -> Setting:
        """Return the levels of the factors that are not compared."""
        return Setting(tuple(pair for pair in setting.levels if pair[0] != self.factor.path))

    def name(self, level: Any) -> str:
        """Return the name of a level, with the name of the factor unless it is a method or variant."""
        text = self.factor.text(level)
        return text if self.factor.path in (METHOD_FACTOR, VARIANT) else f"{self.factor.name} {text}"


def choose_contrast(
    methods: Sequence[str], factors: Sequence[Factor], tuned_arms: Mapping[str, str] | None = None
) -> Contrast:
    """Compare methods with `uniform`, or the levels of the first factor with its first level.

    Args:
        methods: Methods in plan order, at least one.
        factors: The other factors.
        tuned_arms: In a tuned comparison, the method of each arm, in the design's order. All are compared
            with the first, even if it has no trial yet.
    """
    if tuned_arms is not None:
        is_level = factors and factors[0].path == VARIANT
        known = factors[0].levels if is_level else methods
        control, *others = (arm for arm in tuned_arms if arm in known or arm == next(iter(tuned_arms)))
        others.sort(key=lambda arm: tuned_arms[arm] != _PREFERRED_HEADLINE)
        factor = factors[0] if is_level else Factor(METHOD_FACTOR, tuple(methods))
        return Contrast(factor, control, tuple(others))
    if len(methods) > 1 or not factors:
        control = _PREFERRED_CONTROL if _PREFERRED_CONTROL in methods else methods[0]
        others = [method for method in methods if method != control]
        others.sort(key=lambda method: method != _PREFERRED_HEADLINE)
        return Contrast(Factor(METHOD_FACTOR, tuple(methods)), control, tuple(others))
    control, *others = factors[0].levels
    return Contrast(factors[0], control, tuple(reversed(others)))


def has_primary(contrast: Contrast, registered: str = "") -> bool:
    """Return whether one comparison is the question, and is tested before the others.

    It is where it is the only one or was registered, and where `l2rw` is a treatment among methods. In an
    ablation all changes are the question.

    Args:
        contrast: What is compared, the primary treatment first.
        registered: Name of the treatment that was registered; empty where none was.
    """
    if registered and registered in map(contrast.name, contrast.treatments):
        return True
    return len(contrast.treatments) == 1 or contrast.treatments[:1] == (_PREFERRED_HEADLINE,)


def lines_of(
    contrast: Contrast, methods: Sequence[str], points: Iterable[DesignPoint], factor: Factor
) -> dict[str, list[DesignPoint]]:
    """Group design points by the lines of a plot along a factor: by method, or by variant.

    Args:
        contrast: What is compared.
        methods: Methods in plan order.
        points: Design points.
        factor: The factor along which they are shown.
    """
    if contrast.factor.path != VARIANT or factor.path == VARIANT:
        return {method: [point for point in points if point.method == method] for method in methods}
    lines: dict[str, list[DesignPoint]] = {contrast.name(level): [] for level in contrast.factor.levels}
    for point in points:
        lines[contrast.name(contrast.level_of(point))].append(point)
    return lines


def in_common(groups: Sequence[Sequence[DesignPoint]], path: str) -> list[list[DesignPoint]]:
    """Return each group without the design points whose other levels are missing from some group.

    Averages over different settings would be confounded with the settings. Empty groups are ignored.
    """
    rests = [dict.fromkeys(point.setting.without(path) for point in group) for group in groups if group]

    def is_in_all(rest: Setting) -> bool:
        return all(rest in others or rest.meets(others) for others in rests)

    return [[point for point in group if is_in_all(point.setting.without(path))] for group in groups]


def compare(
    contrast: Contrast, points: Sequence[DesignPoint], metric: str = HEADLINE
) -> tuple[Comparison, ...]:
    """Compare all pairs of design points that differ in the contrasted factor only.

    A method without some factor has one design point; two such methods are compared once, not at every
    level.
    """
    measured = [point for point in points if metric in point.by_seed]
    pairs = [(level, pair) for level in contrast.treatments for pair in pairs_of(contrast, measured, level)]
    by_setting: dict[Setting, list[tuple[Any, Pair[DesignPoint]]]] = {
        pair.setting: [] for _, pair in sorted(pairs, key=lambda found: found[1].position)
    }
    for level, pair in pairs:
        by_setting[pair.setting].append((level, pair))
    return tuple(
        _comparison(contrast, level, [pair], 1, metric)
        for found in by_setting.values()
        for level, pair in found
    )


def compare_pooled(
    contrast: Contrast, points: Sequence[DesignPoint], planned: Sequence[HasSetting], metric: str = HEADLINE
) -> tuple[Comparison, ...]:
    """Compare levels by paired differences averaged over settings.

    Settings without a completed seed of both levels are left out. If an unfinished study has no seed that
    completed in all others, only the settings with the most seeds count.

    Args:
        contrast: What is compared.
        points: Design points with their values.
        planned: All planned design points or trials.
        metric: Name of the headline metric.
    """
    measured, pooled = [point for point in points if metric in point.by_seed], []
    for level in contrast.treatments:
        pairs = pairs_of(contrast, measured, level)
        shared = [pair for pair in pairs if _shared_seeds(pair, metric)]
        if shared:
            if pooled_paired_difference(values_of(shared, metric)).interval is None:
                most = max(_shared_seeds(pair, metric) for pair in shared)
                shared = [pair for pair in shared if _shared_seeds(pair, metric) == most]
            settings = len(pairs_of(contrast, planned, level))
            pooled.append(replace(_comparison(contrast, level, shared, settings, metric), setting=None))
    return tuple(pooled)


def pairs_of(contrast: Contrast, points: Sequence[P], level: Any) -> list["Pair[P]"]:
    """Return each pair of design points of a treatment and the control in a common setting, once."""
    pairs: dict[tuple[Setting, Setting], Pair[P]] = {}
    settings = narrowest(contrast.rest_of(point.setting) for point in points)
    treatments, controls = (
        {contrast.rest_of(point.setting): point for point in points if contrast.level_of(point) == wanted}
        for wanted in (level, contrast.control)
    )
    wider = CoveringIndex(treatments), CoveringIndex(controls)
    for position, setting in enumerate(settings):
        treatment, control = (
            at.get(setting) or next((at[rest] for rest in rests.covering(setting)), None)
            for at, rests in zip((treatments, controls), wider, strict=True)
        )
        if treatment is not None and control is not None:
            own = contrast.rest_of(treatment.setting), contrast.rest_of(control.setting)
            levels = {pair for each in own for pair in each.levels}
            common = Setting(tuple(pair for pair in setting.levels if pair in levels))
            pairs.setdefault(own, Pair(position, common, treatment, control))
    return list(pairs.values())


def _comparison(
    contrast: Contrast, level: Any, pairs: Sequence["Pair[DesignPoint]"], planned: int, metric: str
) -> Comparison:
    points = [point for pair in pairs for point in (pair.treatment, pair.control)]
    survivors = None
    if any(point.diverged for point in points):
        difference, survivors = _with_divergence(pairs, metric)
    else:
        difference = pooled_paired_difference(values_of(pairs, metric))
    difference = with_example_error(difference, averaged(pairs), metric)
    return Comparison(
        treatment=contrast.name(level),
        control=contrast.name(contrast.control),
        setting=pairs[0].setting,
        settings=len(pairs),
        planned_settings=planned,
        difference=metric_spec_for(metric).difference_within(difference),
        metric=metric,
        survivors=survivors,
    )


def _with_divergence(pairs: Sequence["Pair[DesignPoint]"], metric: str) -> tuple[Difference, Difference]:
    """Return the difference with diverged runs counted as the worst, and that of the others."""
    ranked = [(pair.treatment.ranked(metric), pair.control.ranked(metric)) for pair in pairs]
    survivors = ranked_paired_difference(ranked)
    if metric_spec_for(metric).is_share:
        return pooled_paired_difference(values_of(pairs, metric)), replace(survivors, ranked=())
    return survivors, survivors


def values_of(
    pairs: Iterable["Pair[DesignPoint]"], metric: str
) -> list[tuple[Mapping[int, float], Mapping[int, float]]]:
    """Return the values by seed of treatment and control, for each pair."""
    return [(pair.treatment.by_seed[metric], pair.control.by_seed[metric]) for pair in pairs]


def _shared_seeds(pair: "Pair[DesignPoint]", metric: str) -> int:
    return len(pair.treatment.by_seed[metric].keys() & pair.control.by_seed[metric].keys())
