"""Plots of a report in a notebook."""

import base64
import io
from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure

from l2rw_ray.report.ablation.plots.effects import draw_comparison
from l2rw_ray.report.ablation.sections import answer_plots
from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.document.plot_files import save_svg
from l2rw_ray.report.document.section import Plot
from l2rw_ray.report.document.style import drawing
from l2rw_ray.report.search.plots import search_plots
from l2rw_ray.report.search.summary import SearchSummary
from l2rw_ray.report.writing import StudyReport


def headline_plot(summary: StudyReport) -> Markup:
    """Return the plot that the report of a study begins with, as an image; empty where it has none."""
    with drawing():
        plots = _plots(summary)
        return _image(plots[0].title, plots[0].figure) if plots else Markup()


def comparison_plot(comparisons: Sequence[Comparison]) -> Markup:
    """Return the differences of two levels in each setting as an image; empty where none has an interval."""
    shown = [each for each in comparisons if each.difference.interval is not None]
    with drawing():
        return _image("paired difference", draw_comparison(shown)) if shown else Markup()


def _image(title: str, figure: Figure) -> Markup:
    file = io.BytesIO()
    save_svg(figure, file)
    data = base64.b64encode(file.getvalue()).decode()
    tag = Markup("<p><img style='max-width:32em' alt='{}' src='data:image/svg+xml;base64,{}'></p>")
    return tag.format(title, data)


def _plots(summary: StudyReport) -> tuple[Plot, ...]:
    match summary:
        case Ablation():
            return answer_plots(summary)
        case SearchSummary():
            return tuple(search_plots(summary))
    return ()
