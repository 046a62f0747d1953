"""What follows from the kind of data, classes or targets: metrics, and settings that do not go with them."""

from collections.abc import Sequence
from typing import Literal

from l2rw_ray.config.data.protocols import NoBias, NoNoise
from l2rw_ray.config.data.regression import GaussianNoise
from l2rw_ray.config.data.sources import Data
from l2rw_ray.config.method.methods import MethodConfig
from l2rw_ray.config.method.trial_loss import TrialLoss
from l2rw_ray.config.section import Misfit

METRICS = ("accuracy", "balanced_accuracy", "worst_class_accuracy", "loss")
"""Metrics of every evaluation of a classification."""
REGRESSION_METRICS = ("rmse", "mae", "r2", "loss")
"""Metrics of every evaluation of a regression."""
_LESS_IS_BETTER = {"rmse", "mae", "loss"}


def data_misfit(data: Data, *, is_regression: bool) -> Misfit | None:
    """Return the protocol that is undefined for the data; None where there is none.

    Args:
        data: The section.
        is_regression: Whether its examples have targets.
    """
    noise = data.noise
    if not is_regression:
        if isinstance(noise, GaussianNoise):
            return Misfit("noise.kind", noise.kind, "the data have labels, not targets", "use kind: uniform")
        return None
    if not isinstance(noise, NoNoise | GaussianNoise):
        return Misfit("noise.kind", noise.kind, "a regression has no labels to flip", "use kind: gaussian")
    if not isinstance(data.meta_noise, NoNoise):
        kind, problem = data.meta_noise.kind, "a regression has no labels to flip"
        return Misfit("meta_noise.kind", kind, problem, "use kind: none")
    for field, bias in (("bias", data.bias), ("meta_bias", data.meta_bias)):
        if not isinstance(bias, NoBias):
            return Misfit(f"{field}.kind", bias.kind, "a regression has no classes", "use kind: none")
    return None


def trial_misfit(method: MethodConfig, loss: TrialLoss | None, *, is_regression: bool) -> Misfit | None:
    """Return the method or loss that is undefined for the data; None where both fit.

    Args:
        method: The section; its class says `needs_classes` or `needs_targets` where it does.
        loss: The trial's `loss`.
        is_regression: Whether the data have targets.
    """
    name = method.name
    if is_regression and method.needs_classes:
        return Misfit(
            "method.name", name, "it needs classes, the data are a regression", "use another method"
        )
    if not is_regression and method.needs_targets:
        return Misfit(
            "method.name", name, "it is for a regression, the data have classes", "use another method"
        )
    if loss is None:
        return None
    if not is_regression and loss.is_of_targets:
        return Misfit("loss", loss.name, "it is for a regression, the data have classes", "leave it out")
    if is_regression and loss.is_of_targets is False:
        return Misfit("loss", loss.name, "it is for classes, the data are a regression", "leave it out")
    if method.has_own_loss:
        problem = f"method {name!r} trains on a loss of its own"
        return Misfit("loss", loss.name, problem, "leave it out, or use method 'uniform'")
    return None


def best_mode(metric: str) -> Literal["max", "min"] | None:
    """Return whether more or less of a validation metric is better; None for a custom one."""
    name = metric.removeprefix("validation_")
    if name == metric or name not in (*METRICS, *REGRESSION_METRICS):
        return None
    return "min" if name in _LESS_IS_BETTER else "max"


def metric_misfit(
    field: str,
    metric: str,
    mode: str | None,
    own: Sequence[str],
    *,
    is_regression: bool | None,
    as_stored: bool = False,
) -> Misfit | None:
    """Return the objective that evaluations do not report or that has the wrong mode; None for a valid one.

    Args:
        field: Where the study names it.
        metric: What it says.
        mode: Which way it is optimised; None where that is not known.
        own: Metrics reported besides those of every evaluation.
        is_regression: Whether the data are one; None where only loading them tells.
        as_stored: Whether to accept the wrong mode of a loss or an accuracy, as earlier versions did.
    """
    names = {
        True: REGRESSION_METRICS,
        False: METRICS,
        None: (*METRICS[:-1], *REGRESSION_METRICS),
    }[is_regression]
    usable = [*(f"validation_{name}" for name in names), *own]
    if metric not in usable:
        problem, remedy = "unknown", f"use one of {', '.join(usable)}"
        if is_regression and metric.removeprefix("validation_") in METRICS:
            problem = "the data are a regression"
            remedy = f"use validation_rmse with mode: min, or one of {', '.join(usable[1:])}"
        return Misfit(field, metric, problem, remedy)
    best = None if as_stored and metric.removeprefix("validation_") in METRICS else best_mode(metric)
    if mode is not None and best is not None and mode != best:
        where = field.removesuffix("metric") + "mode"
        return Misfit(
            where, mode, f"{metric} is {'maximised' if best == 'max' else 'minimised'}", f"use {best}"
        )
    return None
