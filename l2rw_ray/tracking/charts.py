"""Charts of MLflow's page of runs, in the format in which MLflow 3 stores a page that is shared.

Its fields are those of MLflow's `RunsChartsCardConfig` and `ChartSectionConfig`. Metrics without a chart here
get one of MLflow's own, in the section that it names after their prefix.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from l2rw_ray.config.functions.metrics import is_test
from l2rw_ray.report.design_points.labels import COST_METRICS, WEIGHT_CURVES
from l2rw_ray.tracking.stored_names import stored_name

_REST, _SYSTEM, _STEPS = "Model metrics", "System metrics", "step"
"""MLflow's names of the sections of metrics without a prefix, of `system/` and of `step/`."""
_CURVES = (
    "validation_balanced_accuracy",
    "validation_accuracy",
    "validation_rmse",
    "train_loss",
    "validation_loss",
    *WEIGHT_CURVES,
    "corrupted_auroc",
)
_TIMINGS = ("epoch_duration_s", "time_data_s", "time_step_s", "time_evaluation_s")
_RUNS = 20
MEAN = ".mean"
"""Suffix of a metric's mean over seeds, in runs of design points."""


def charts_of(objective: str, tests: Sequence[str], *, of_points: bool) -> dict[str, Any]:
    """Return the charts of a page: the objective and the test metrics first, costs and single values folded.

    Charts of metrics that no run has are hidden by MLflow.

    Args:
        objective: Metric that selects.
        tests: Test metrics, or all that a study of functions declares, the headline first.
        of_points: Whether the runs are design points, whose final metrics are means over seeds.
    """
    suffix = MEAN if of_points else ""
    reported = [name for name in tests if not is_test(name)]  # a test metric has one value
    curves = dict.fromkeys(name for name in (*_CURVES, *reported) if name != objective)
    sections = {
        "Result": [_line(objective), *(_bar(name + suffix) for name in tests)],
        "Training": [_line(name) for name in curves],
        "Cost": [*(_bar(name + suffix) for name in COST_METRICS), *map(_bar, _TIMINGS)],
        _STEPS: [],
        _REST: [],
        _SYSTEM: [],
    }
    return {
        "compareRunSections": [_section(name, is_open=name in ("Result", "Training")) for name in sections],
        "compareRunCharts": _placed(sections),
        "isAccordionReordered": True,  # else MLflow sorts sections by name
        "hideEmptyCharts": True,
    }


def _placed(sections: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    return [
        {**chart, "metricSectionId": _identifier(name)}
        for name, charts in sections.items()
        for chart in charts
    ]


def _section(name: str, *, is_open: bool) -> dict[str, Any]:
    flags = {"display": is_open, "isReordered": True, "deleted": False, "isGenerated": False}
    return {"uuid": _identifier(name), "name": name, **flags}


def _identifier(name: str) -> str:
    return f"l2rw-{name.lower().replace(' ', '-')}"


def _bar(metric: str) -> dict[str, Any]:
    return _chart("BAR", metric)


def _line(metric: str) -> dict[str, Any]:
    return _chart("LINE", metric) | {
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _chart(kind: str, metric: str) -> dict[str, Any]:
    return {
        "uuid": f"l2rw-{kind.lower()}-{metric}",
        "type": kind,
        "metricKey": stored_name(metric),
        "displayName": metric.removesuffix(MEAN),
        "runsCountToCompare": _RUNS,
        "deleted": False,
        "isGenerated": False,
    }
