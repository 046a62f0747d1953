"""The design points of a scaling study: what the cost of a step may depend on, and the cost."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.report.design_points.points import Outcome, Row
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.statistics import Interval, mean_interval

BATCH, META, TRAIN = "optim.batch_size", "method.meta_batch_size", "data.train_size"
FAMILY, DEPTH, WIDTH, PARAMETERS = "model.family", "model.depth", "model.width", "model.parameters"
WORKERS, ESTIMATOR, UPDATES = "resources.workers", "method.estimator", "method.update_every"

PLAIN_S, STEP_S, RATIO = "step_time_plain_s", "step_time_s", "overhead_ratio"
PLAIN_BYTES, PEAK_BYTES = "peak_memory_plain_bytes", "peak_memory_bytes"
MEASURED = (PLAIN_S, STEP_S, RATIO, PLAIN_BYTES, PEAK_BYTES)
TIMED = (PLAIN_S, STEP_S, RATIO)
"""Metrics that are distorted if trials share a GPU."""

_NAMED = re.compile(r"(?P<kind>resnet|wrn|vgg|densenet)(?P<depth>\d+)(_(?P<width>\d+))?(_(?P<norm>bn|gn))?")
_KINDS = {"resnet": "ResNet", "wrn": "wide ResNet", "vgg": "VGG", "densenet": "DenseNet"}
_NORMS = {"gn": "GroupNorm", "bn": "BatchNorm"}
_DECILES = 10
_NO_COST = ("measurement", "metrics")


@dataclass(frozen=True)
class ScalingPoint:
    """A design point with measured steps, over its completed seeds.

    Attributes:
        model: Name of its model.
        method: Name of its method.
        facets: All settings that its cost may depend on, by path; the model as family, depth and width.
        by_seed: Values by seed, by name of the metric; without times if trials shared a GPU.
        intervals: Mean and interval over those seeds, by name.
        bound: Arithmetic operations of any exact method, in plain steps: 1 + M/B with new weights at every
            step. Times may be below it if they grow more slowly than the batch. None without a meta
            gradient, or with that of the last layer only.
        timing_usable: False if trials shared a GPU.
        estimators_used: Estimators that computed the scores of its trials; empty where none was recorded.
    """

    model: str
    method: str
    facets: Setting
    by_seed: Mapping[str, Mapping[int, float]]
    intervals: Mapping[str, Interval]
    bound: float | None
    timing_usable: bool
    estimators_used: tuple[str, ...] = ()

    def level(self, path: str) -> float | None:
        """Return a facet as a number; None if it is not a number."""
        value = self.facets.level(path)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value)

    def without(self, *paths: str) -> Setting:
        """Return all facets but some: those that the points of a trend share."""
        return Setting(tuple(pair for pair in self.facets.levels if pair[0] not in paths))


def scaling_points(outcomes: Sequence[Outcome], class_counts: Mapping[str, int]) -> tuple[ScalingPoint, ...]:
    """Return the design points with a completed seed and measured steps, in plan order.

    Args:
        outcomes: The study's trials.
        class_counts: Number of classes in the train set by trial id; 0 for a regression.
    """
    groups: dict[tuple[str, Setting], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.metric(RATIO) is not None:
            groups.setdefault((outcome.method, outcome.setting), []).append(outcome)
    named = [(group[0].point, _point(group, class_counts[group[0].trial_id])) for group in groups.values()]
    numbers = Counter((point.model, point.method, point.facets) for _, point in named)
    return tuple(
        point if numbers[point.model, point.method, point.facets] == 1 else _apart(point, name)
        for name, point in named
    )


def bound_text(points: Sequence[ScalingPoint]) -> str:
    """Return the bound as a formula; N is the number of steps that share a meta gradient."""
    plain = all(
        point.bound == 1 + (point.level(META) or 0) / (point.level(BATCH) or 1)
        for point in points
        if point.bound is not None
    )
    return "1 + M/B" if plain else "1 + M/(N·B)"


def _apart(point: ScalingPoint, name: str) -> ScalingPoint:
    """Return a point with its name as a further facet, for points with equal facets."""
    return replace(point, facets=Setting(tuple(sorted((*point.facets.levels, (VARIANT, name))))))


def _point(group: Sequence[Outcome], classes: int) -> ScalingPoint:
    row = group[0].row
    assert row is not None
    config = json.loads(row["config"])
    usable = not any(0 < ((each.row or {}).get("gpus_per_worker") or 0) < 1 for each in group)
    names = [name for name in (*MEASURED, "parameters") if usable or name not in TIMED]
    by_seed = {name: found for name in names if (found := dict(_finite_values(group, name)))}
    meta_size = _meta_size(config, classes)
    parameters = round(fmean(by_seed.pop("parameters").values())) if "parameters" in by_seed else None
    return ScalingPoint(
        model=str(config["model"]["name"]),
        method=str(config["method"]["name"]),
        facets=_facets(config, row, meta_size, parameters),
        by_seed=by_seed,
        intervals={name: mean_interval(values.values()) for name, values in by_seed.items()},
        bound=None if meta_size is None else _bound(config, meta_size),
        timing_usable=usable,
        estimators_used=tuple(dict.fromkeys(name for each in group if (name := _estimator_used(each)))),
    )


def _estimator_used(outcome: Outcome) -> str | None:
    return None if outcome.row is None else outcome.row.get("estimator_used")


def _finite_values(group: Sequence[Outcome], name: str) -> Iterator[tuple[int, float]]:
    for outcome in group:
        value = outcome.metric(name)
        if value is not None and math.isfinite(value) and value > 0:
            yield outcome.seed, value


def _meta_size(config: Mapping[str, Any], classes: int) -> int | None:
    """Return the meta examples of a step that computes weights; None without meta gradient."""
    if "meta_batch_size" not in config["method"]:
        return None
    given, per_class = config["method"]["meta_batch_size"], config["data"]["meta_per_class"]
    if given:
        return int(given)
    return None if per_class is None else int(per_class) * (classes or _DECILES)


def _bound(config: Mapping[str, Any], meta_size: int) -> float | None:
    """Return the cost of a plain step and of the meta gradient, divided among the steps that use it."""
    method = config["method"]
    if method.get("estimator") == "last_layer":
        return None
    steps = method.get("update_every", 1) * method.get("meta_gradient_every", 1)
    return float(1 + meta_size / (config["optim"]["batch_size"] * steps))


def _facets(config: Mapping[str, Any], row: Row, meta_size: int | None, parameters: int | None) -> Setting:
    leaves = {path: value for path, value in _leaves(config) if path.split(".")[0] not in _NO_COST}
    if leaves.get(META) is None:
        leaves.pop("data.meta_per_class", None)  # it affects a step only through the size of the meta batch
    leaves |= _shape(config["model"])
    leaves[TRAIN] = leaves.get(TRAIN) or row["train_examples"]
    leaves |= {f"resources.{name}": row[name] for name in ("workers", "cpus_per_worker", "gpus_per_worker")}
    leaves |= {META: meta_size, PARAMETERS: parameters}
    del leaves["model.name"]
    return Setting(tuple(sorted((path, value) for path, value in leaves.items() if value is not None)))


def _leaves(section: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all values of a configuration by path; lists as JSON."""
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", json.dumps(value) if isinstance(value, list) else value


def _shape(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return family, depth and width of a model, as far as its name contains them."""
    named = _NAMED.fullmatch(model["name"])
    if named is None:
        return {FAMILY: model["name"]}  # depth and width of an mlp are options, already among the leaves
    norm = _NORMS.get(named["norm"] or ("bn" if named["kind"] == "wrn" else ""))
    family = ", ".join(filter(None, (_KINDS[named["kind"]], norm)))
    width = {WIDTH: int(named["width"])} if named["width"] else {}
    return {FAMILY: family, DEPTH: int(named["depth"])} | width
