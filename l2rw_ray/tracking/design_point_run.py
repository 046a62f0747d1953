"""The run of a design point: its metrics over its seeds."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from l2rw_ray.report.ablation.effects import curves_of, histories_of
from l2rw_ray.report.design_points.labels import WEIGHT_CURVES
from l2rw_ray.report.design_points.metric_table import metric_table
from l2rw_ray.report.design_points.points import design_points_of, final_outcomes
from l2rw_ray.results import StudyFolder, read_epochs
from l2rw_ray.tracking.metric_points import MetricPoint, thinned
from l2rw_ray.tracking.runs import factor_tags, point_name


@dataclass(frozen=True)
class DesignPointRun:
    """Contents of the run of a design point.

    Attributes:
        method: The method that its trials ran.
        factors: Levels of the other factors, by path relative to `trial`; the variant among them.
        intervals: `mean`, `low`, `high` and `n` by name of the metric.
        curves: Means over its seeds by epoch, by name of the metric.
    """

    method: str
    factors: Mapping[str, Any]
    intervals: Mapping[str, Mapping[str, float]]
    curves: Mapping[str, Mapping[float, float]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Identifier of the point within its study."""
        return json.dumps({"method": self.method, **self.factors}, sort_keys=True, default=str)

    @property
    def name(self) -> str:
        """Name of its run."""
        return point_name(self.method, self.factors)

    @property
    def tags(self) -> dict[str, str]:
        """Tags by which it is filtered and grouped."""
        return {"method": self.method, **factor_tags(self.factors)}

    def metrics(self) -> dict[str, float]:
        """Return the latest value of each metric: `test_accuracy.mean`, and the ends of curves."""
        return self._means() | {name: curve[max(curve)] for name, curve in self.curves.items()}

    def points(self, at: datetime) -> list[MetricPoint]:
        """Return all values, as measured at a time; curves are thinned."""
        return [MetricPoint(name, value, 0, at) for name, value in self._means().items()] + [
            MetricPoint(name, curve[epoch], int(epoch), at)
            for name, curve in self.curves.items()
            for epoch in sorted(thinned(curve))
        ]

    def _means(self) -> dict[str, float]:
        return {
            f"{name}.{part}": float(value)
            for name, parts in self.intervals.items()
            for part, value in parts.items()
            if math.isfinite(value)
        }


def design_point_runs(directory: Path) -> Iterator[DesignPointRun]:
    """Yield the run of each design point of a study that has completed final trials.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or something unreadable.
    """
    outcomes, spec = final_outcomes(directory), StudyFolder(directory).read_spec()
    epochs = read_epochs(directory, lambda name: name in spec.metrics or _is_drawn(name))
    names = sorted(epochs.metrics)
    curves = {
        (curve.method, curve.setting, name): dict(
            zip(curve.epochs, (interval.mean for interval in curve.intervals), strict=True)
        )
        for name in names
        for curve in curves_of(histories_of(outcomes, epochs, name), name)
    }
    for point in design_points_of(outcomes, metric_table(spec)):
        yield DesignPointRun(
            point.method_used,
            dict(point.setting.levels),
            {name: asdict(interval) for name, interval in point.intervals.items()},
            {name: curve for name in names if (curve := curves.get((point.method, point.setting, name)))},
        )


def _is_drawn(name: str) -> bool:
    """Return whether a metric has a curve of its mean: the others are in the runs of the trials."""
    return name.startswith("validation_") or name in ("train_loss", *WEIGHT_CURVES)
