"""Names, tags and metrics of tracking runs; imports no tracking library."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from l2rw_ray.config.planned_trial import level_text, short_name, trial_label
from l2rw_ray.tracking.uri import masked

Row = Mapping[str, Any]

FACTOR = "factor."
PLANNED = "l2rw.planned"
"""Tag: `yes`, or `no` for trials that the study no longer plans."""
STEP = "step/"
"""Prefix of metrics over optimiser steps; all others are over epochs."""
_MAX_STEP_POINTS = 300
"""Per series of a trial; MLflow's charts draw about as many."""
_RESOURCES = ("workers", "cpus_per_worker", "gpus_per_worker")
_TAGGED = (
    *("method", "estimator_used", "status", "seed", "reason", "error", "device", "hardware", "commit"),
)
_COMMIT = "mlflow.source.git.commit"  # MLflow's own name for it
_NOT_METRICS = {"seed", "attempt", *_RESOURCES, "schema_version"}
_NOT_EPOCH_METRICS = {"seed", "epoch", "step"}
_EPOCH_NAMES = {"duration_s": "epoch_duration_s"}
"""Of metrics whose name means another thing of the whole trial."""
_LONGEST_TEXT = 1000


@dataclass(frozen=True)
class DesignPointRun:
    """Contents of the run of a design point: its metrics over its seeds.

    Attributes:
        method: The method that its trials ran.
        factors: Levels of the other factors, by path relative to `trial`; the variant among them.
        intervals: `mean`, `low`, `high` and `n` by name of the metric.
    """

    method: str
    factors: Mapping[str, Any]
    intervals: Mapping[str, Mapping[str, float]]

    @property
    def key(self) -> str:
        """Identifier of the point within its study."""
        return json.dumps({"method": self.method, **self.factors}, sort_keys=True, default=str)

    @property
    def name(self) -> str:
        """Name of its run."""
        return trial_label(self.method, self.factors, "all seeds")

    def metrics(self) -> dict[str, float]:
        """Return flat metrics such as `test_accuracy.mean`, without values that are not finite."""
        return {
            f"{name}.{part}": float(value)
            for name, parts in self.intervals.items()
            for part, value in parts.items()
            if math.isfinite(value)
        }


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


def trial_name(row: Row) -> str:
    """Return the name of the run of a trial: method, levels and seed."""
    return trial_label(row["method"], factors_of(row), f"seed {row['seed']}")


def factors_of(row: Row) -> dict[str, Any]:
    """Return the levels of a trial by path, without the method."""
    levels = {name.removeprefix(FACTOR): level for name, level in row.items() if name.startswith(FACTOR)}
    return {path: level for path, level in levels.items() if path != "method.name" and level is not None}


def trial_params(row: Row) -> dict[str, str]:
    """Return the configuration of a trial with dotted keys, its seed and its resources."""
    params = dict(_flatten(json.loads(row["config"]))) if row["config"] else {}
    params["seed"] = str(row["seed"])
    for name in _RESOURCES:
        params[f"resources.{name}"] = str(row[name])
    return params


def trial_tags(row: Row) -> dict[str, str]:
    """Return the tags of a trial: what runs are filtered and grouped by, and its environment."""
    tags: dict[str, Any] = dict(factor_tags(factors_of(row)))
    tags |= {name: row.get(name) for name in _TAGGED}
    tags |= {name: level for name, level in row.items() if name.startswith(FACTOR)}
    tags |= {f"version.{name}": version for name, version in json.loads(row.get("versions") or "{}").items()}
    tags |= {"stage": row.get("stage"), "mlflow.source.name": "l2rw-ray", _COMMIT: row["commit"]}
    return {name: _text(value) for name, value in tags.items() if value is not None}


def factor_tags(factors: Mapping[str, Any]) -> dict[str, str]:
    """Return levels by short names such as `bias`, as far as these are unique among factors and tags."""
    names = [short_name(path) for path in factors]
    return {
        name: level_text(level)
        for name, level in zip(names, factors.values(), strict=True)
        if names.count(name) == 1 and name not in _TAGGED
    }


def trial_files(row: Row) -> dict[str, str]:
    """Return the text files to attach to the run of a trial, by file name."""
    config = json.loads(row["config"]) if row["config"] else {}
    place = {name: row.get(name) for name in ("commit", "hardware", "device", *_RESOURCES)}
    environment = place | {"versions": json.loads(row.get("versions") or "{}")}
    files = {"config.json": config | {"seed": row["seed"]}, "environment.json": environment}
    return {name: masked(json.dumps(tree, indent=2)) + "\n" for name, tree in files.items()}


def outcome_of(row: Row) -> str:
    """Return a text that changes when a trial is run again, so that its run is replaced."""
    return f"{row['status']} {row['started_at'].isoformat()} attempt {row['attempt']}"


def metric_points(row: Row, history: Sequence[Row], series: Sequence[Row] = ()) -> list[MetricPoint]:
    """Return all metrics of a trial: per epoch, final ones that differ from the last epoch, per step."""
    points: list[MetricPoint] = []
    last: dict[str, float] = {}
    at = row["started_at"]
    for epoch in sorted(history, key=lambda epoch: int(epoch["epoch"])):
        at += timedelta(seconds=epoch["duration_s"])
        values = {
            _EPOCH_NAMES.get(name, name): float(value)
            for name, value in epoch.items()
            if _is_epoch_metric(name, value)
        }
        points += [MetricPoint(name, value, epoch["epoch"], at) for name, value in values.items()]
        last = values
    end, step = end_of(row), row["epochs"] or 0
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
    stride = -(-total // _MAX_STEP_POINTS) or 1
    points, position, began = [], 0, row["started_at"]
    for epoch in sorted(series, key=lambda epoch: int(epoch["epoch"])):
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


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, _text(value)


def _text(value: Any) -> str:
    text = masked(value if isinstance(value, str) else json.dumps(value, default=str))
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
