"""Metrics of tracking runs, thinned to what a chart shows; the ledger has every epoch and step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from l2rw_ray.tracking.runs import FACTOR, RESOURCES

Row = Mapping[str, Any]

STEP = "step/"
"""Prefix of metrics over optimiser steps; all others are over epochs."""
MAX_POINTS = 50
"""Points per series, each of which takes about 300 bytes of a database; the ledger has the whole series."""
_NOT_METRICS = {"seed", "attempt", *RESOURCES, "schema_version"}
_NOT_EPOCH_METRICS = {"seed", "epoch", "step"}
_LAST_ONLY = {"epoch_duration_s", "skipped_steps", "skipped_fraction", "certificates", "certificate_error"}
"""Metrics of epochs that are no curve to look at."""
_EPOCH_NAMES = {"duration_s": "epoch_duration_s"}
"""Of metrics whose name means another thing of the whole trial."""


@dataclass(frozen=True)
class MetricPoint:
    """One value of a metric.

    Attributes:
        step: Epochs trained; optimiser steps for a metric whose name begins with `step/`.
        at: When it was measured, estimated from the ledger.
    """

    name: str
    value: float
    step: int
    at: datetime


def thinned(epochs: Iterable[float]) -> set[float]:
    """Return at most about `MAX_POINTS` of the epochs that are whole, the first and the last among them.

    Tracking has no others: of evaluations within epochs the ledger has all.

    Others are multiples of a power of two, so that runs of different lengths share epochs.
    """
    known = sorted(int(epoch) for epoch in epochs if float(epoch).is_integer())
    stride = 1
    while len(known) > MAX_POINTS * stride:
        stride *= 2
    return {epoch for epoch in known if epoch % stride == 0} | {*known[:1], *known[-1:]}


def metric_points(row: Row, history: Sequence[Row], series: Sequence[Row] = ()) -> list[MetricPoint]:
    """Return all metrics of a trial: per epoch, final ones that differ from the last epoch, per step."""
    points: list[MetricPoint] = []
    last: dict[str, float] = {}
    at, shown = row["started_at"], thinned(epoch["epoch"] for epoch in history)
    for epoch in sorted(history, key=lambda epoch: epoch["epoch"]):
        at += timedelta(seconds=epoch["duration_s"])
        values = {
            _EPOCH_NAMES.get(name, name): float(value)
            for name, value in epoch.items()
            if _is_epoch_metric(name, value)
        }
        if epoch["epoch"] in shown:
            points += [
                MetricPoint(name, value, int(epoch["epoch"]), at)
                for name, value in values.items()
                if name not in _LAST_ONLY or epoch["epoch"] == max(shown)
            ]
        last = values
    end, step = end_of(row), round(row["epochs"] or 0)
    return (
        points
        + [
            MetricPoint(name, value, step, end)
            for name, value in _final_metrics(row).items()
            if last.get(name) != value
        ]
        + _step_points(row, history, series)
    )


def _step_points(row: Row, history: Sequence[Row], series: Sequence[Row]) -> list[MetricPoint]:
    """Return the step series, thinned evenly over the whole trial."""
    durations = {epoch["epoch"]: epoch["duration_s"] for epoch in history}
    total = sum(len(epoch["step"]) for epoch in series)
    stride = -(-total // MAX_POINTS) or 1
    points, position, began = [], 0, row["started_at"]
    for epoch in sorted(series, key=lambda epoch: epoch["epoch"]):
        duration_s, count = durations.get(epoch["epoch"], 0.0), len(epoch["step"])
        for place, step in enumerate(epoch["step"]):
            position += 1
            if position % stride and position != total:
                continue
            at = began + timedelta(seconds=duration_s * (place + 1) / count)
            points += [
                MetricPoint(STEP + name, epoch[name][place], step, at)
                for name in ("train_loss", "effective_sample_size")
                if epoch[name][place] is not None
            ]
        began += timedelta(seconds=duration_s)
    return points


def end_of(row: Row) -> datetime:
    """Return when a trial ended."""
    started: datetime = row["started_at"]
    return started + timedelta(seconds=row["duration_s"] or 0.0)


def _final_metrics(row: Row) -> dict[str, float]:
    own = {name: float(value) for name, value in row.items() if _is_number(value) and _is_metric(name)}
    return own | {name: float(value) for name, value in row.get("metrics") or ()}


def _is_metric(name: str) -> bool:
    return name not in _NOT_METRICS and not name.startswith(FACTOR)


def _is_epoch_metric(name: str, value: Any) -> bool:
    return _is_number(value) and name not in _NOT_EPOCH_METRICS and not name.startswith(FACTOR)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
