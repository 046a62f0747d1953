"""Plots of a single trial: learning curves, weights and confusion matrix."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from l2rw_ray.events import WEIGHT_EDGES
from l2rw_ray.report.design_points.labels import headline_of, validation_metric
from l2rw_ray.report.document.palette import COLORS, QUIET
from l2rw_ray.report.document.plot_files import save_svg
from l2rw_ray.report.document.style import drawing

Row = Mapping[str, Any]
Counts = npt.NDArray[np.int64]

_SIZE = (5.4, 3.4)  # inches
_AXES = (0.18, 0.15, 0.68, 0.69)
"""Left, bottom, width and height relative to the figure, with room for a second axis at the right."""
_MAX_NUMBERED = 12
"""Largest number of classes for which the confusion matrix shows counts."""
_MAX_NAMED = 30
_BLUE, _VERMILLION = COLORS[:2]


@dataclass(frozen=True)
class TrialSummary:
    """Data of the plots of a trial.

    Attributes:
        name: Method, levels and seed.
        metric: Name of the validation metric that is shown.
        measured: Epochs with a value of it, and the values.
        step: Optimiser steps at the ends of chunks of steps.
        train_loss: Mean loss of each chunk; NaN if there is none.
        epochs: Epochs with weights.
        clean: Number of examples with a right label per epoch and bin of `WEIGHT_EDGES`.
        corrupted: Number of examples with a wrong label per epoch and bin.
        unverified: Number of examples that may have either per epoch and bin.
        class_names: Name of each class.
        confusion: Number of test examples by true and predicted class; None for a regression.
    """

    name: str
    metric: str
    measured: tuple[tuple[int, float], ...]
    step: tuple[int, ...]
    train_loss: tuple[float, ...]
    epochs: tuple[float, ...]
    clean: Counts
    corrupted: Counts
    unverified: Counts
    class_names: tuple[str, ...]
    confusion: Counts | None


def summarise_trial(
    name: str,
    history: Sequence[Row],
    series: Sequence[Row],
    weights: Sequence[Row],
    confusion: Row | None,
    metric: str | None = None,
) -> TrialSummary:
    """Return the data of the plots of a trial, from its rows of the ledger.

    Args:
        name: Method, levels and seed.
        history: Its rows of `read_history`.
        series: Its rows of `read_step_series`.
        weights: Its rows of `read_weight_histograms`.
        confusion: Its row of `read_confusion`.
        metric: Metric that is shown per epoch; None for that of the built-in trainer.
    """
    known = {name for row in history for name, value in row.items() if value is not None}
    usual = validation_metric(headline_of({name.replace("validation_", "test_", 1) for name in known}))
    metric = metric or usual
    losses = [loss for epoch in series for loss in epoch["train_loss"]]
    return TrialSummary(
        name=name,
        metric=metric,
        measured=tuple((row["epoch"], row[metric]) for row in history if row.get(metric) is not None),
        step=tuple(step for epoch in series for step in epoch["step"]),
        train_loss=tuple(np.nan if loss is None else loss for loss in losses),
        epochs=tuple(row["epoch"] for row in weights),
        clean=_counts(weights, "clean"),
        corrupted=_counts(weights, "corrupted"),
        unverified=_counts(weights, "unverified"),
        class_names=tuple(confusion["class_names"]) if confusion else (),
        confusion=np.array(confusion["counts"], np.int64) if confusion else None,
    )


def _counts(weights: Sequence[Row], kind: str) -> Counts:
    """Return the number of examples of a kind per epoch and bin; 0 where a row does not have the kind."""
    bins = len(WEIGHT_EDGES) + 1
    return np.array([row.get(kind) or [0] * bins for row in weights], np.int64).reshape(len(weights), bins)


def write_trial_plots(summary: TrialSummary, folder: Path) -> list[str]:
    """Draw the plots that a trial has data for, as SVG files.

    Returns:
        The names of the files.
    """
    draws: dict[str, Callable[[TrialSummary, Axes], None]] = {}
    if summary.step or summary.measured:
        draws["learning_curves.svg"] = _draw_learning
    if summary.epochs:
        draws["weights_over_time.svg"] = _draw_weights
    if summary.corrupted.any() and summary.clean.any():
        draws["clean_against_corrupted.svg"] = _draw_kinds
    if summary.confusion is not None:
        draws["confusion_matrix.svg"] = _draw_confusion
    with drawing():
        for file, draw in draws.items():
            figure = Figure(figsize=_SIZE)  # fixed margins: a constrained layout doubles the time
            axes = figure.add_axes(_AXES)
            draw(summary, axes)
            figure.suptitle(summary.name, x=0.01, ha="left", fontsize=9, color=QUIET)
            save_svg(figure, folder / file)
    return list(draws)


def _draw_learning(summary: TrialSummary, axes: Axes) -> None:
    axes.plot(summary.step, summary.train_loss, color=_BLUE, linewidth=1)
    axes.set(xlabel="step", title="Learning curves")
    axes.set_ylabel("train loss", color=_BLUE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if not summary.measured:
        return
    epochs, values = zip(*summary.measured, strict=True)
    last = summary.step[-1] if summary.step else epochs[-1]
    steps = [epoch * last / epochs[-1] for epoch in epochs]
    beside = axes.twinx()
    beside.grid(visible=False)
    beside.plot(steps, values, color=_VERMILLION, marker="o", markersize=3)
    beside.set_ylabel(summary.metric.replace("_", " "), color=_VERMILLION)


def _draw_weights(summary: TrialSummary, axes: Axes) -> None:
    counts = summary.clean + summary.corrupted + summary.unverified
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    first, last = summary.epochs[0], summary.epochs[-1]
    extent = (first - 0.5, last + 0.5, -0.5, counts.shape[1] - 0.5)
    image = axes.imshow(
        shares.T, origin="lower", aspect="auto", extent=extent, cmap="viridis", interpolation="nearest"
    )
    axes.grid(visible=False)
    axes.set(xlabel="epoch", ylabel="mean weight relative to 1/B", title="Weights over time")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    names = _bin_names()
    axes.set_yticks(range(0, len(names), 3), names[::3])
    figure = axes.figure
    left, bottom, width, height = _AXES
    beside = figure.add_axes((left + width + 0.02, bottom, 0.02, height))
    bar = figure.colorbar(image, cax=beside, format=PercentFormatter(1, decimals=0))
    bar.set_label("share of the train examples")


def _draw_kinds(summary: TrialSummary, axes: Axes) -> None:
    names, places = _bin_names(), np.arange(len(WEIGHT_EDGES) + 1)
    kinds = (("right labels", summary.clean, _BLUE), ("wrong labels", summary.corrupted, _VERMILLION))
    for number, (label, counts, color) in enumerate(kinds):
        shares = counts[-1] / max(counts[-1].sum(), 1)
        axes.bar(places + 0.4 * number - 0.2, shares, width=0.4, color=color, label=label)
    axes.set_xticks(places[::3], names[::3])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(visible=False, axis="x")
    axes.set(
        xlabel="mean weight relative to 1/B",
        ylabel="share of these examples",
        title=f"Weights of right and wrong labels, epoch {summary.epochs[-1]}",
    )
    axes.legend()


def _draw_confusion(summary: TrialSummary, axes: Axes) -> None:
    assert summary.confusion is not None
    counts, classes = summary.confusion, len(summary.confusion)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.grid(visible=False)
    axes.set(xlabel="predicted class", ylabel="true class", title="Confusion matrix of the test set")
    longest = max(map(len, summary.class_names))
    if classes <= _MAX_NAMED:
        axes.set_xticks(range(classes), summary.class_names, rotation=0 if longest <= 3 else 90)
        axes.set_yticks(range(classes), summary.class_names)
        margin = 0.013 * max(longest - 3, 0)  # of the figure's width and half its height
        left, bottom, width, height = _AXES
        axes.set_position((left + margin, bottom + 2 * margin, width - margin, height - 2 * margin))
    if classes <= _MAX_NUMBERED:
        for row, column in np.argwhere(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(
                column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=8
            )


def _bin_names() -> list[str]:
    return ["0", *(f"≤ {edge:g}" for edge in WEIGHT_EDGES[1:]), f"> {WEIGHT_EDGES[-1]:g}"]
