"""What a tracking run says of a trial or a design point, without any tracking library."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from l2rw_ray.config.planned import trial_label

Row = Mapping[str, Any]

FACTOR = "factor."
_NOT_METRICS = {"seed", "attempt", "workers", "cpus_per_worker", "gpus_per_worker", "schema_version"}
_NOT_EPOCH_METRICS = {"seed", "epoch", "step"}
_LONGEST_TEXT = 1000


@dataclass(frozen=True)
class DesignPoint:
    """Figures of one design point over its seeds.

    Attributes:
        method: Name of the arm.
        factors: Levels of the other factors, by path relative to `trial`.
        figures: `mean`, `low`, `high` and `n` by name of the figure.
    """

    method: str
    factors: Mapping[str, Any]
    figures: Mapping[str, Mapping[str, float]]

    @property
    def key(self) -> str:
        """What identifies the point within its study."""
        return json.dumps({"method": self.method, **self.factors}, sort_keys=True, default=str)

    @property
    def name(self) -> str:
        """Name of its run."""
        return trial_label(self.method, self.factors, "all seeds")

    def metrics(self) -> dict[str, float]:
        """Figures as flat metrics, such as `test_accuracy.mean`; what is not finite is left out."""
        return {
            f"{name}.{part}": float(value)
            for name, parts in self.figures.items()
            for part, value in parts.items()
            if math.isfinite(value)
        }


@dataclass(frozen=True)
class MetricPoint:
    """One value of a metric.

    Attributes:
        step: Epochs trained.
        at: When it was measured, as far as the ledger tells.
    """

    name: str
    value: float
    step: int
    at: datetime


def trial_name(row: Row) -> str:
    """Name of a trial's run: arm, levels and seed."""
    return trial_label(row["method"], factors_of(row), f"seed {row['seed']}")


def factors_of(row: Row) -> dict[str, Any]:
    """A trial's levels by path, the method left out."""
    levels = {name.removeprefix(FACTOR): level for name, level in row.items() if name.startswith(FACTOR)}
    return {path: level for path, level in levels.items() if path != "method.name" and level is not None}


def trial_params(row: Row) -> dict[str, str]:
    """The trial's configuration with dotted keys, its seed and its resources."""
    params = dict(_flatten(json.loads(row["config"]))) if row["config"] else {}
    params["seed"] = str(row["seed"])
    for name in ("workers", "cpus_per_worker", "gpus_per_worker"):
        params[f"resources.{name}"] = str(row[name])
    return params


def trial_tags(row: Row) -> dict[str, str]:
    """What the runs of a study are filtered by, and where a trial ran."""
    named = ("method", "status", "seed", "reason", "error", "device", "hardware", "commit")
    tags = {name: row[name] for name in named}
    tags |= {name: level for name, level in row.items() if name.startswith(FACTOR)}
    tags["stage"] = row.get("stage")
    return {name: _text(value) for name, value in tags.items() if value is not None}


def outcome_of(row: Row) -> str:
    """What changes when a trial is run again, so that its run is written again."""
    return f"{row['status']} {row['started_at'].isoformat()} attempt {row['attempt']}"


def metric_points(row: Row, history: Sequence[Row]) -> list[MetricPoint]:
    """All metrics of a trial: per epoch, then the final ones that its last epoch does not hold."""
    points: list[MetricPoint] = []
    last: dict[str, float] = {}
    at = row["started_at"]
    for epoch in sorted(history, key=lambda epoch: int(epoch["epoch"])):
        at += timedelta(seconds=epoch["duration_s"])
        told = {name: float(value) for name, value in epoch.items() if _is_epoch_metric(name, value)}
        points += [MetricPoint(name, value, epoch["epoch"], at) for name, value in told.items()]
        last = told
    end, step = end_of(row), row["epochs"] or 0
    return points + [
        MetricPoint(name, value, step, end)
        for name, value in _final_metrics(row).items()
        if last.get(name) != value
    ]


def end_of(row: Row) -> datetime:
    """When a trial ended."""
    started: datetime = row["started_at"]
    return started + timedelta(seconds=row["duration_s"] or 0.0)


def _final_metrics(row: Row) -> dict[str, float]:
    own = {name: float(value) for name, value in row.items() if _is_number(value) and _is_figure(name)}
    return own | {name: float(value) for name, value in row.get("metrics") or ()}


def _is_figure(name: str) -> bool:
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
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
