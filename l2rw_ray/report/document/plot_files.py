"""Plots as files: legible on any background, and without a date, so that equal plots are equal files."""

from pathlib import Path
from typing import BinaryIO

from matplotlib.figure import Figure

_CARD = "white"


def save_svg(figure: Figure, path: Path | BinaryIO) -> None:
    """Write the figure as SVG, whose text stays text."""
    figure.savefig(path, format="svg", facecolor=_CARD, metadata={"Date": None})


def save_pdf(figure: Figure, path: Path) -> None:
    """Write the figure as PDF, with its fonts."""
    figure.savefig(path, format="pdf", facecolor=_CARD, metadata={"CreationDate": None})


def save_png(figure: Figure, path: Path) -> None:
    """Write the figure as a bitmap at twice the usual resolution."""
    figure.savefig(path, format="png", facecolor=_CARD, dpi=200)
