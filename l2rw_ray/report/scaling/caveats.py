"""What a reader of a scaling report must know before trusting a metric."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from l2rw_ray.report.design_points.labels import count
from l2rw_ray.report.design_points.points import Outcome, Row, counts_of
from l2rw_ray.report.scaling.points import MEASURED, ScalingPoint

_NEXT_TO_ALONE = 1.2
"""Trials at a time that come of one beginning while the last one is being recorded."""


def scaling_warnings(outcomes: Sequence[Outcome], points: Sequence[ScalingPoint]) -> tuple[str, ...]:
    """One sentence without a full stop for each thing to know.

    Args:
        outcomes: The study's trials.
        points: What was measured.
    """
    rows = [outcome.row for outcome in outcomes if outcome.row is not None]
    return (*_incomplete(outcomes), *_doubtful(points), *_disturbed(rows), *_lost(outcomes))


def _incomplete(outcomes: Sequence[Outcome]) -> list[str]:
    counts, said = counts_of(outcomes), []
    if counts.missing:
        missing = count(counts.missing, "planned trial")
        said.append(f"The study is incomplete: {missing} of {counts.planned:,} not run yet")
    if counts.failed + counts.stopped:
        ended = count(counts.failed + counts.stopped, "trial")
        said.append(f"{ended} failed or stopped, left out of all figures")
    return said


def _doubtful(points: Sequence[ScalingPoint]) -> list[str]:
    said = []
    shared = sum(not point.timing_usable for point in points)
    if shared:
        said.append(f"Step times of {count(shared, 'design point')} are unusable: trials shared a GPU")
    if all(interval.n == 1 for point in points for interval in point.intervals.values()):
        said.append("One seed: there are no intervals, and a difference may be chance")
    return said


def _disturbed(rows: Sequence[Row]) -> list[str]:
    said = []
    machines = {row["hardware"] for row in rows} - {None}
    if len(machines) > 1:
        said.append(f"Times are of {len(machines)} kinds of hardware, and what differs may be theirs")
    together = _at_a_time(rows)
    if together > _NEXT_TO_ALONE:
        said.append(
            f"On average {together:.1f} trials ran at a time: where they shared a machine, step times hold "
            "what they took from each other, ratios less so; --max-concurrent-trials 1 avoids it"
        )
    return said


def _at_a_time(rows: Sequence[Row]) -> float:
    """How many trials were under way on average, while any was."""
    spans = sorted(
        (row["started_at"], row["started_at"] + timedelta(seconds=row["duration_s"]))
        for row in rows
        if row["started_at"] is not None and row["duration_s"]
    )
    busy, reached = timedelta(), datetime.min.replace(tzinfo=UTC)
    for start, end in spans:
        busy += max(end, reached) - max(start, reached)
        reached = max(end, reached)
    return sum((end - start for start, end in spans), timedelta()) / busy if busy else 0.0


def _lost(outcomes: Sequence[Outcome]) -> list[str]:
    """Figures that are left out as not finite."""
    return [
        f"Left out as not finite: {name} of {outcome.point}, seed {outcome.seed}"
        for outcome in outcomes
        for name in MEASURED
        if (value := outcome.metric(name)) is not None and not math.isfinite(value)
    ]
