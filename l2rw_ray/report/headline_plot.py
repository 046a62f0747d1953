"""The first plot of a report, for a notebook."""

import base64
import io

from markupsafe import Markup

from l2rw_ray.report.ablation.sections import answer_plots
from l2rw_ray.report.ablation.summary import Ablation
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
        if not plots:
            return Markup()
        file = io.BytesIO()
        save_svg(plots[0].figure, file)
    data = base64.b64encode(file.getvalue()).decode()
    return Markup("<img style='max-width:32em' alt='{}' src='data:image/svg+xml;base64,{}'>").format(
        plots[0].title, data
    )


def _plots(summary: StudyReport) -> tuple[Plot, ...]:
    match summary:
        case Ablation():
            return answer_plots(summary)
        case SearchSummary():
            return tuple(search_plots(summary))
    return ()
