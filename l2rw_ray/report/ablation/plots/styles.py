"""The plot style of each method."""

from itertools import cycle

from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.document.palette import _BLUE, _GREEN, _ORANGE, _PURPLE, _SKY, _VERMILLION, Style

_HEADLINE = Style(_VERMILLION, "o", "-")


_CONTROL = Style(_BLUE, "s", "--")


_COLORS_AND_DASHES = ((_GREEN, "-."), (_PURPLE, ":"), (_ORANGE, "-"), (_SKY, "--"))


_MARKERS = "^DvPX*<"


_OTHERS = tuple(
    Style(color, marker, dash)
    for marker, (color, dash) in zip(_MARKERS * 4, cycle(_COLORS_AND_DASHES), strict=False)
)
"""Twenty-eight styles, no two with the same colour and marker."""


def styles_of(summary: Ablation) -> dict[str, Style]:
    """Return the style of each method and of each level that is compared."""
    compared = (comparison.treatment for comparison in summary.pooled)
    lines = (point.method for effect in summary.effects for point in effect.points)
    searched = (curve.arm for curve in summary.budgets.curves) if summary.budgets is not None else ()
    names = list(dict.fromkeys((*summary.methods, *compared, *lines, *searched)))
    others = cycle(_OTHERS)
    styles: dict[str, Style] = {summary.methods[0]: _HEADLINE} if len(summary.methods) == 1 else {}
    for name in [name for name in names if name not in styles]:
        if name == summary.headline:
            styles[name] = _HEADLINE
        else:
            styles[name] = _CONTROL if name == summary.control else next(others)
    return styles
