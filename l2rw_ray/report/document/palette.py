"""Colours that colour-blind readers can distinguish, on light and on dark background.

Source: Okabe and Ito 2008, "Color Universal Design". Markers and dashes repeat the information of the colour.
"""

from dataclasses import dataclass

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
    """How a method is drawn in all plots."""

    color: str
    marker: str
    dash: str

    @property
    def dash_array(self) -> str:
        """The dash as an SVG attribute."""
        return {"--": "7 3", "-.": "7 2 2 2", ":": "2 2"}.get(self.dash, "none")
