"""Plots within a page: SVG in the colours of the page."""

import io
import re

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from l2rw_ray.printable import printable
from l2rw_ray.report.document.palette import INK, QUIET
from l2rw_ray.report.document.plot_files import legible

_UNDATED = {"Date": None}


def inline_svg(figure: Figure, key: str, description: str) -> Markup:
    """Return the figure as an SVG element that takes the text colour of the page.

    Args:
        figure: The figure.
        key: Prefix of its ids, unique within the page.
        description: Text for screen readers.
    """
    text = io.StringIO()
    legible(figure).savefig(text, format="svg", transparent=True, metadata=_UNDATED)
    element = text.getvalue()
    element = element[element.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'\bid="', f'id="{key}-', element)
    element = re.sub(r'(url\(|xlink:href=")#', rf"\1#{key}-", element)
    element = element.replace(INK, "currentColor").replace(QUIET, "var(--quiet)")
    element = re.sub(r'<svg (.*?)width="[^"]*"', r"<svg \1", element, count=1, flags=re.DOTALL)
    element = re.sub(r'(<svg .*?)height="[^"]*"', r"\1", element, count=1, flags=re.DOTALL)
    label = f'<svg role="img" aria-label="{escape(printable(description))}" '
    return Markup(element.replace("<svg ", label, 1))  # noqa: S704  # matplotlib escapes its texts
