"""What a reader of a scaling report must know before trusting a figure."""

import math
from collections.abc import Sequence
from datetime import timedelta

from l2rw_ray.report.labels import count
from l2rw_ray.report.points import Outcome, Row, counts_of
from l2rw_ray.report.scaling_points import MEASURED, ScalingPoint


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
    most = _at_a_time(rows)
    if most > 1:
        said.append(
            f"Up to {most} trials ran at a time: where they shared a machine, step times hold what they took "
            "from each other, ratios less so; `l2rw-ray run --lanes 1` avoids it"
        )
    return said


def _at_a_time(rows: Sequence[Row]) -> int:
    """The most trials that were under way at one moment."""
    ended = [row for row in rows if row["started_at"] is not None and row["duration_s"]]
    starts = [(row["started_at"], 1) for row in ended]
    ends = [(row["started_at"] + timedelta(seconds=row["duration_s"]), -1) for row in ended]
    running = most = 0
    for _, change in sorted([*starts, *ends]):
        running += change
        most = max(most, running)
    return most


def _lost(outcomes: Sequence[Outcome]) -> list[str]:
    """Figures that are left out as not finite."""
    return [
        f"Left out as not finite: {name} of {outcome.point}, seed {outcome.seed}"
        for outcome in outcomes
        for name in MEASURED
        if (value := outcome.figure(name)) is not None and not math.isfinite(value)
    ]
