"""Warnings of a scaling report: what a reader must know before trusting a number."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from l2rw_ray.report.design_points.labels import count
from l2rw_ray.report.design_points.points import Outcome, Row, counts_of
from l2rw_ray.report.provenance.estimators import estimator_warnings
from l2rw_ray.report.scaling.points import MEASURED, ScalingPoint

_NEXT_TO_ALONE = 1.2
"""Trials running at once, on average, if each starts while the one before it is being recorded."""


def scaling_warnings(outcomes: Sequence[Outcome], points: Sequence[ScalingPoint]) -> tuple[str, ...]:
    """Return one sentence without a full stop per warning.

    Args:
        outcomes: The study's trials.
        points: The design points measured.
    """
    rows = [outcome.row for outcome in outcomes if outcome.row is not None]
    return (
        *_incomplete(outcomes),
        *_doubtful(points),
        *_disturbed(rows),
        *_lost(outcomes),
        *estimator_warnings(outcomes),
    )


def _incomplete(outcomes: Sequence[Outcome]) -> list[str]:
    counts, warnings = counts_of(outcomes), []
    if counts.missing:
        missing = count(counts.missing, "planned trial")
        warnings.append(f"The study is incomplete: {missing} of {counts.planned:,} not run yet")
    if counts.failed + counts.stopped:
        ended = count(counts.failed + counts.stopped, "trial")
        warnings.append(f"{ended} failed or stopped, excluded from all results")
    return warnings


def _doubtful(points: Sequence[ScalingPoint]) -> list[str]:
    warnings = []
    shared = sum(not point.timing_usable for point in points)
    if shared:
        warnings.append(f"Step times of {count(shared, 'design point')} are unusable: trials shared a GPU")
    if all(interval.n == 1 for point in points for interval in point.intervals.values()):
        warnings.append("One seed: there are no intervals, and a difference may be chance")
    return warnings


def _disturbed(rows: Sequence[Row]) -> list[str]:
    warnings = []
    machines = {row["hardware"] for row in rows} - {None}
    if len(machines) > 1:
        warnings.append(
            f"Times were measured on {len(machines)} kinds of hardware, which may explain differences"
        )
    together = _at_a_time(rows)
    if together > _NEXT_TO_ALONE:
        warnings.append(
            f"On average {together:.1f} trials ran at once: if they shared a machine, they slowed each other "
            "down, which biases step times and, less so, ratios; --max-concurrent-trials 1 avoids it"
        )
    return warnings


def _at_a_time(rows: Sequence[Row]) -> float:
    """Return how many trials ran at once, averaged over the time in which any ran."""
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
    """Return a warning for each metric left out because it is not finite."""
    return [
        f"Left out as not finite: {name} of {outcome.point}, seed {outcome.seed}"
        for outcome in outcomes
        for name in MEASURED
        if (value := outcome.metric(name)) is not None and not math.isfinite(value)
    ]
