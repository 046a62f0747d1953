"""Size, legend and error bars of the plots of a report."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2rw_ray.statistics import Interval

PANEL = (4.7, 3.3)
"""Inches, so that text of 10 pt stays legible on a phone."""
_CHARACTERS_PER_INCH = 11.5  # of a legend
_LEGEND_LINES, _LEGEND_LINE = 3, 0.21  # lines that a figure has room for, and inches of each further one


def panel(size: tuple[float, float] = PANEL) -> tuple[Figure, Axes]:
    """Return a figure with one set of axes; the size is in inches."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots()


def legend_above(figure: Figure, axes: Axes) -> None:
    """Draw one legend above all panels, in as many columns as fit; the figure grows with a long one."""
    handles, names = axes.get_legend_handles_labels()
    characters = int(_CHARACTERS_PER_INCH * figure.get_figwidth())
    columns = max(1, characters // (max(map(len, names), default=0) + 5))
    columns = min(3, columns)
    further = max(0, -(-len(names) // columns) - _LEGEND_LINES)
    figure.set_figheight(figure.get_figheight() + further * _LEGEND_LINE)
    figure.legend(handles, names, loc="outside upper left", ncols=columns)


def bar_lengths(intervals: Sequence[Interval], scale: float) -> list[list[float]]:
    """Return the lengths of error bars below and above the mean, in the shown unit; 0 for one seed."""
    below = [scale * (i.mean - i.low) if i.is_conclusive else 0.0 for i in intervals]
    above = [scale * (i.high - i.mean) if i.is_conclusive else 0.0 for i in intervals]
    return [below, above]
