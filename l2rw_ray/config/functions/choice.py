"""Which of a study's metrics answers its question, and which one selects; never one of the test set."""

from collections.abc import Iterable, Mapping
from typing import Any

from l2rw_ray.config.functions.metrics import COSTS, Metric, Metrics, is_test
from l2rw_ray.config.section import Misfit

COST = "duration_s"
"""Metric of every trial, where a study declares none that may select."""


def headline_of(metrics: Metrics) -> str | None:
    """Return the metric that answers a study's question; None where none is declared.

    That is the one declared as headline, else the first test metric with a mode, else the first with a mode,
    else the first.

    Args:
        metrics: What the study declares.
    """
    candidates = (
        [name for name, metric in metrics.items() if metric.headline],
        [name for name, metric in metrics.items() if metric.mode and is_test(name, metric)],
        [name for name, metric in metrics.items() if metric.mode],
        list(metrics),
    )
    return next((names[0] for names in candidates if names), None)


def default_objective(metrics: Mapping[str, Any]) -> str:
    """Return the metric that selects where a study names none: the first with a mode that is no test metric.

    Args:
        metrics: What the study declares, validated or not.
    """
    return next((name for name, given in metrics.items() if _mode(given) and not _is_test(name, given)), COST)


def mode_of(name: str, metrics: Mapping[str, Any]) -> Any:
    """Return which way a metric is better; None where it is not declared.

    Args:
        name: Its name.
        metrics: What the study declares, validated or not.
    """
    mode = _mode(metrics.get(name))
    return "min" if mode is None and name == COST else mode


def _mode(given: Any) -> Any:
    return given.get("mode") if isinstance(given, Mapping) else getattr(given, "mode", None)


def _is_test(name: str, given: Any) -> bool:
    split = given.get("split") if isinstance(given, Mapping) else getattr(given, "split", None)
    return split == "test" or is_test(name)


def choice_misfit(
    objectives: Iterable[tuple[str, str, str]], metrics: Metrics, *, selects: bool
) -> Misfit | None:
    """Return the first objective that must not or cannot select; None where all may.

    Args:
        objectives: Field, metric and mode of each.
        metrics: What the study declares.
        selects: Whether trials are chosen by it, rather than only shown with it.
    """
    found = (_misfit(*each, metrics, selects=selects) for each in objectives)
    return next((misfit for misfit in found if misfit is not None), None)


def headline_misfit(metrics: Metrics) -> Misfit | None:
    """Return the second headline, or the first metric whose name says test but not its declaration."""
    headlines = [name for name, metric in metrics.items() if metric.headline]
    if len(headlines) > 1:
        problem = f"{headlines[0]!r} is the headline already"
        return Misfit(f"metrics.{headlines[1]}.headline", True, problem, "keep one")
    for name, metric in metrics.items():
        if is_test(name) and metric.split not in (None, "test"):
            problem = "its name says test"
            return Misfit(
                f"metrics.{name}.split", metric.split, problem, "leave it out, or rename the metric"
            )
    return None


def _misfit(field: str, name: str, mode: str, metrics: Metrics, *, selects: bool) -> Misfit | None:
    declared = metrics.get(name)
    usable = [other for other, metric in metrics.items() if not is_test(other, metric)]
    remedy = f"use one of {', '.join(usable)}" if usable else "declare a validation metric under metrics"
    if is_test(name, declared):
        return Misfit(field, name, "a test metric must not select", remedy)
    if declared is None and name == COST and selects and field == "objective.metric":
        return Misfit(field, None, "no metric that may select is declared", remedy)
    if declared is None:
        return None if name in COSTS else Misfit(field, name, "not declared under metrics", remedy)
    return _mode_misfit(field, name, mode, declared)


def _mode_misfit(field: str, name: str, mode: str, declared: Metric) -> Misfit | None:
    if declared.mode in (None, mode):
        return None
    where = field.removesuffix("metric") + "mode"
    return Misfit(where, mode, f"metrics.{name}.mode is {declared.mode}", f"use {declared.mode}")
