"""Speed-up and efficiency by workers, at an equal total batch and at an equal batch per worker."""

from collections.abc import Sequence
from dataclasses import dataclass

from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.scaling.points import BATCH, PLAIN_S, RATIO, STEP_S, WORKERS, ScalingPoint
from l2rw_ray.report.scaling.trends import groups_of
from l2rw_ray.statistics import Interval
from l2rw_ray.statistics.scaling import Scaling, SerialFraction, paired_ratio, serial_fraction

STEPS = {PLAIN_S: "plain step", STEP_S: "reweighted step"}


_MIN_LEVELS = 3
"""Numbers of workers from which on a law is fitted: it has one parameter, and one worker is given."""


@dataclass(frozen=True)
class WorkersPoint:
    """A number of workers compared with one.

    Attributes:
        point: The point measured.
        workers: Number of workers.
        speedup: Work per unit of time relative to one worker: geometric mean over seeds, and its limits.
        efficiency: Speed-up per worker.
    """

    point: ScalingPoint
    workers: int
    speedup: Interval
    efficiency: Interval


@dataclass(frozen=True)
class WorkersCurve:
    """One kind of step by number of workers.

    Attributes:
        scaling: What stays equal.
        step: Name of the step's time.
        fixed: The facets that are equal, without the batch if it grows with the workers.
        share: Batch per worker in weak scaling, total batch in strong scaling.
        points: One per number of workers, ascending from 1; at least two.
        serial: Its serial fraction; None with fewer than three numbers of workers, which any law fits.
    """

    scaling: Scaling
    step: str
    fixed: Setting
    share: int
    points: tuple[WorkersPoint, ...]
    serial: SerialFraction | None

    @property
    def equal(self) -> str:
        """What stays equal, in words."""
        return f"batch {self.share}" if self.scaling is Scaling.STRONG else f"{self.share} per worker"

    @property
    def misfit(self) -> float:
        """Largest relative distance of a measured speed-up from the fitted law; 0 without one."""
        if self.serial is None:
            return 0.0
        return max(abs(self.serial.fitted(each.workers) / each.speedup.mean - 1) for each in self.points)

    @property
    def name(self) -> str:
        """The step and what stays equal, in words."""
        return f"{STEPS[self.step]}, {self.equal}"


def worker_curves(points: Sequence[ScalingPoint]) -> tuple[WorkersCurve, ...]:
    """Return strong, then weak scaling of plain and reweighted steps, where one worker was measured."""
    timed = [point for point in points if RATIO in point.by_seed]
    curves = []
    for (scaling, fixed, share), group in _groups(timed).items():
        for step in STEPS:
            curve = _curve(scaling, step, fixed, share, group)
            if curve is not None:
                curves.append(curve)
    return tuple(curves)


def _groups(points: Sequence[ScalingPoint]) -> dict[tuple[Scaling, Setting, int], list[ScalingPoint]]:
    groups: dict[tuple[Scaling, Setting, int], list[ScalingPoint]] = {}
    for fixed, group in groups_of(points, WORKERS).items():
        groups[Scaling.STRONG, fixed, _size(group[0], BATCH)] = group
    for fixed, group in groups_of(points, WORKERS, BATCH).items():
        for point in group:
            share, rest = divmod(_size(point, BATCH), _size(point, WORKERS))
            if not rest:
                groups.setdefault((Scaling.WEAK, fixed, share), []).append(point)
    return {key: group for key, group in groups.items() if len(group) > 1}


def _size(point: ScalingPoint, path: str) -> int:
    return int(point.level(path) or 0)


def _curve(
    scaling: Scaling, step: str, fixed: Setting, share: int, group: Sequence[ScalingPoint]
) -> WorkersCurve | None:
    ordered = sorted(group, key=lambda point: _size(point, WORKERS))
    alone = ordered[0]
    if _size(alone, WORKERS) != 1:
        return None
    found = [entry for point in ordered if (entry := _against_one(scaling, step, alone, point)) is not None]
    if len(found) < 2:  # no larger number shares a seed with one worker
        return None
    workers = [entry.workers for entry in found]
    serial = None
    if len(found) >= _MIN_LEVELS:
        serial = serial_fraction(scaling, workers, [entry.point.by_seed[step] for entry in found])
    return WorkersCurve(scaling, step, fixed, share, tuple(found), serial)


def _against_one(
    scaling: Scaling, step: str, alone: ScalingPoint, point: ScalingPoint
) -> WorkersPoint | None:
    shortened = paired_ratio(alone.by_seed[step], point.by_seed[step])
    if shortened is None:
        return None
    workers = _size(point, WORKERS)
    if scaling is Scaling.STRONG:
        return WorkersPoint(point, workers, shortened, _scaled(shortened, 1 / workers))
    return WorkersPoint(point, workers, _scaled(shortened, workers), shortened)


def _scaled(interval: Interval, factor: float) -> Interval:
    return Interval(factor * interval.mean, factor * interval.low, factor * interval.high, interval.n)
