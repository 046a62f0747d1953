"""What `data check` prints of labels of which some are verified, and of where the four sets come from."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from l2rw_ray.cli.console import Console
    from l2rw_ray.events import ConfusionMatrix
    from l2rw_ray.preflight.data_summary import DataSummary, SourceSummary
    from l2rw_ray.preflight.label_summary import LabelSummary

_MAX_CLASSES = 12
"""Largest number of classes of a matrix that fits a terminal."""


def print_labels(console: "Console", source: "SourceSummary", labels: "LabelSummary") -> None:
    """Print how many labels of each class are given and verified, and how the two differ."""
    verified, what = sum(labels.verified), "target" if source.is_regression else "label"
    others = "" if verified == labels.examples else "; the others only train"
    _line(console, "verified", f"{verified:,} of {labels.examples:,} {what}s{others}")
    _line(console, "noise", _noise_text(labels, what))
    table = Table()
    table.add_column(what if source.is_regression else "class")
    table.add_column("given", justify="right")
    table.add_column("verified", justify="right")
    for name, given, known in zip(source.class_names, labels.given, labels.verified, strict=True):
        table.add_row(Text(name), f"{given:,}", f"{known:,}")
    console.print(table)
    if labels.noise is not None and labels.noise.confusion is not None and labels.noise.wrong:
        _print_matrix(console, labels.noise.confusion)


def print_origins(console: "Console", summary: "DataSummary") -> None:
    """Print where each of the four sets comes from, and which of them share content."""
    for name, origin in summary.origins.items():
        _line(console, name, f"from {origin}", width=11)
    for shared in summary.shared or ():
        _line(console, "warning", f"{shared.text}; leave them out, or name a group", width=11)
    if summary.shared is None:
        _line(
            console,
            "duplicates",
            "not looked for: the inputs are streamed, or your own",
            width=11,
        )


def _noise_text(labels: "LabelSummary", what: str) -> str:
    noise = labels.noise
    if noise is None:
        return f"not known: no example has a given and a verified {what}"
    low, high = labels.rate_interval
    wrong, size = "a wrong one", ""
    if noise.rmse is not None:
        wrong, size = "another", f" ({noise.rmse:.3g} off, root mean square)"
    rate = f"{noise.wrong / noise.examples:.1%} (95 % interval {low:.1%} to {high:.1%})"
    return f"{noise.wrong:,} of {noise.examples:,} examples with both were given {wrong}{size}: {rate}"


def _print_matrix(console: "Console", confusion: "ConfusionMatrix") -> None:
    if len(confusion.class_names) > _MAX_CLASSES:
        return
    console.print("given label (column) by verified one (row)", soft_wrap=True)
    table = Table()
    table.add_column("verified")
    for name in confusion.class_names:
        table.add_column(Text(name), justify="right")
    for name, counts in zip(confusion.class_names, confusion.counts, strict=True):
        table.add_row(Text(name), *(f"{number:,}" if number else "" for number in counts))
    console.print(table)


def _line(console: "Console", name: str, text: str, width: int = 8) -> None:
    console.print(Text(f"{name:<{width}} {text}"), soft_wrap=True)
