"""Plots as files: legible on any background, and without a date, so that equal plots are equal files."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from l2rw_ray.printable import printable

_CARD = "white"


class _PrintableLabels:
    """Labels of ticks, as another function gives them, without control characters."""

    def __init__(self, label: Callable[[float, int | None], str]) -> None:
        self._label = label

    def __call__(self, value: float, place: int | None = None) -> str:
        return printable(str(self._label(value, place)))


def legible(figure: Figure) -> Figure:
    """Return the figure, its texts without control characters, which no font has and no XML may hold."""
    for axes in figure.get_axes():
        for axis in (axes.xaxis, axes.yaxis):
            named = axis.get_major_formatter()
            if isinstance(named, FuncFormatter) and not isinstance(named.func, _PrintableLabels):
                axis.set_major_formatter(FuncFormatter(_PrintableLabels(named.func)))
    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text()))
    return figure


def save_svg(figure: Figure, path: Path | BinaryIO) -> None:
    """Write the figure as SVG, whose text stays text."""
    legible(figure).savefig(path, format="svg", facecolor=_CARD, metadata={"Date": None})


def save_pdf(figure: Figure, path: Path) -> None:
    """Write the figure as PDF, with its fonts."""
    legible(figure).savefig(path, format="pdf", facecolor=_CARD, metadata={"CreationDate": None})


def save_png(figure: Figure, path: Path) -> None:
    """Write the figure as a bitmap at twice the usual resolution."""
    legible(figure).savefig(path, format="png", facecolor=_CARD, dpi=200)
