"""Colours that colour-blind readers can tell apart, on light and on dark ground.

Source: Okabe and Ito 2008, "Color Universal Design". Markers and dashes repeat what colour says.
"""

from dataclasses import dataclass
from itertools import cycle

from l2rw_ray.report.summary import Ablation

INK = "#1b1f24"
QUIET = "#6e7781"

_BLUE, _VERMILLION, _GREEN, _PURPLE, _ORANGE, _SKY = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
)


COLORS = (_BLUE, _VERMILLION, _GREEN, _PURPLE, _ORANGE, _SKY)


@dataclass(frozen=True)
class Style:
    """How one arm is drawn everywhere."""

    color: str
    marker: str
    dash: str

    @property
    def dash_array(self) -> str:
        """The dash as an SVG attribute."""
        return {"--": "7 3", "-.": "7 2 2 2", ":": "2 2"}.get(self.dash, "none")


_HEADLINE = Style(_VERMILLION, "o", "-")
_CONTROL = Style(_BLUE, "s", "--")
_COLORS_AND_DASHES = ((_GREEN, "-."), (_PURPLE, ":"), (_ORANGE, "-"), (_SKY, "--"))
_MARKERS = "^DvPX*<"
_OTHERS = tuple(
    Style(color, marker, dash)
    for marker, (color, dash) in zip(_MARKERS * 4, cycle(_COLORS_AND_DASHES), strict=False)
)
"""Twenty-eight, no two of one colour and one marker."""


def styles_of(summary: Ablation) -> dict[str, Style]:
    """The style of each arm, and of each level that is compared."""
    compared = (comparison.treatment for comparison in summary.pooled)
    lines = (point.arm for effect in summary.effects for point in effect.points)
    names = list(dict.fromkeys((*summary.arms, *compared, *lines)))
    others = cycle(_OTHERS)
    styles: dict[str, Style] = {summary.arms[0]: _HEADLINE} if len(summary.arms) == 1 else {}
    for name in [name for name in names if name not in styles]:
        if name == summary.headline:
            styles[name] = _HEADLINE
        else:
            styles[name] = _CONTROL if name == summary.control else next(others)
    return styles
