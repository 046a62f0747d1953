"""Growth of costs along one size, all else equal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.scaling.points import (
    BATCH,
    DEPTH,
    ESTIMATOR,
    MEASURED,
    META,
    PARAMETERS,
    RATIO,
    TRAIN,
    UPDATES,
    WIDTH,
    WORKERS,
    ScalingPoint,
)
from l2rw_ray.statistics import Interval
from l2rw_ray.statistics.scaling import AffineLaw, PowerLaw, affine_law, paired_ratio, power_law


@dataclass(frozen=True)
class Axis:
    """A size along which costs may grow.

    Attributes:
        path: Path of the facet.
        name: Readable name.
        follows: Facets that change with it.
    """

    path: str
    name: str
    follows: tuple[str, ...] = ()


AXES = (
    Axis(BATCH, "batch size"),
    Axis(META, "meta examples per step"),
    Axis(DEPTH, "layers", (PARAMETERS,)),
    Axis(WIDTH, "width", (PARAMETERS,)),
    Axis(PARAMETERS, "parameters", (DEPTH, WIDTH)),
    Axis(TRAIN, "train examples"),
    Axis(UPDATES, "steps per weight update"),
    Axis(WORKERS, "workers"),
)


def size_text(level: float) -> str:
    """Return a readable level of an axis."""
    return f"{level:,.0f}" if level == round(level) else f"{level:g}"


@dataclass(frozen=True)
class Trend:
    """Points that differ in one size only, ordered by it.

    Attributes:
        axis: The size.
        fixed: The facets that the points share.
        levels: The size at each point.
        points: The points, at least two.
        laws: Power law of each metric that all points have, by name.
    """

    axis: Axis
    fixed: Setting
    levels: tuple[float, ...]
    points: tuple[ScalingPoint, ...]
    laws: Mapping[str, PowerLaw]


@dataclass(frozen=True)
class RatioLaw:
    """The overhead ratio as an affine function of M/B, for points that differ only in B and M."""

    fixed: Setting
    law: AffineLaw
    points: tuple[ScalingPoint, ...]


@dataclass(frozen=True)
class EstimatorChoice:
    """Points that differ only in the estimator.

    Attributes:
        fixed: The facets that the points share.
        by_estimator: The points by estimator.
        cheapest: The estimator with the lowest mean overhead ratio.
        lead: Overhead ratio of the next one relative to the cheapest, paired by seed; None without a
            shared seed.
    """

    fixed: Setting
    by_estimator: Mapping[str, ScalingPoint]
    cheapest: str
    lead: Interval | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the lead excludes 1."""
        return self.lead is not None and self.lead.low > 1


def groups_of(
    points: Iterable[ScalingPoint], *paths: str, needed: Sequence[str] = ()
) -> dict[Setting, list[ScalingPoint]]:
    """Group points by the facets that they share, in plan order.

    Args:
        points: The points.
        paths: Facets that may differ.
        needed: Facets that a point must have to count.
    """
    groups: dict[Setting, list[ScalingPoint]] = {}
    for point in points:
        if all(point.facets.level(path) is not None for path in needed):
            groups.setdefault(point.without(*paths), []).append(point)
    return groups


def trends_of(points: Sequence[ScalingPoint]) -> tuple[Trend, ...]:
    """Return all trends, by axis and then in plan order."""
    return tuple(
        _trend(axis, fixed, group)
        for axis in AXES
        for fixed, group in groups_of(points, axis.path, *axis.follows, needed=[axis.path]).items()
        if len({point.level(axis.path) for point in group}) > 1
    )


def _trend(axis: Axis, fixed: Setting, group: Sequence[ScalingPoint]) -> Trend:
    ordered = sorted(group, key=lambda point: point.level(axis.path) or 0)
    levels = tuple(point.level(axis.path) or 0.0 for point in ordered)
    laws = {
        name: law
        for name in MEASURED
        if all(name in point.by_seed for point in ordered)
        and (law := power_law(levels, [point.by_seed[name] for point in ordered])) is not None
    }
    return Trend(axis, fixed, levels, tuple(ordered), laws)


def ratio_laws(points: Sequence[ScalingPoint]) -> tuple[RatioLaw, ...]:
    """Return the overhead ratio by M/B, for groups with three values of it or more."""
    laws = []
    timed = [point for point in points if point.bound is not None and RATIO in point.by_seed]
    for fixed, group in groups_of(timed, BATCH, META).items():
        shares = [(point.bound or 1) - 1 for point in group]
        law = affine_law(shares, [point.by_seed[RATIO] for point in group])
        if law is not None and law.levels > 2:
            laws.append(RatioLaw(fixed, law, tuple(group)))
    return tuple(laws)


def estimator_choices(points: Sequence[ScalingPoint]) -> tuple[EstimatorChoice, ...]:
    """Return the estimators compared, for settings with two or more."""
    timed = [point for point in points if RATIO in point.by_seed]
    groups = groups_of(timed, ESTIMATOR, needed=[ESTIMATOR])
    return tuple(_choice(fixed, group) for fixed, group in groups.items() if len(group) > 1)


def _choice(fixed: Setting, group: Sequence[ScalingPoint]) -> EstimatorChoice:
    by_estimator = {str(point.facets.level(ESTIMATOR)): point for point in group}
    ranked = sorted(by_estimator, key=lambda name: by_estimator[name].intervals[RATIO].mean)
    first, second = (by_estimator[name].by_seed[RATIO] for name in ranked[:2])
    return EstimatorChoice(fixed, by_estimator, ranked[0], paired_ratio(second, first))
