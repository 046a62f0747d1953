"""Sections of a report: the plots and tables under one heading."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from l2rw_ray.report.document.palette import Style
from l2rw_ray.report.document.plot_files import save_pdf, save_png, save_svg
from l2rw_ray.report.document.svg import inline_svg
from l2rw_ray.report.document.table import Table
from l2rw_ray.results.plain_files import check_plain

_FORMATS = {".svg": save_svg, ".pdf": save_pdf, ".png": save_png}


@dataclass(frozen=True)
class Plot:
    """A plot with its caption.

    Attributes:
        name: Name of its file, without suffix; unique in the report.
        title: What it shows.
        figure: The drawing.
        panels: Its panels one by one, which the page lays out in place of the whole.
        legend: Labels and styles of the lines in its panels.
    """

    name: str
    title: str
    figure: Figure
    panels: tuple["Plot", ...] = ()
    legend: tuple[tuple[str, Style], ...] = ()


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: Its heading.
        plots: Its plots.
        tables: Its tables.
        note: How to read the plots.
        folded: Parts that the page shows on demand.
        is_wide: Whether the page shows plots large even if there are many.
    """

    title: str
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
    note: str = ""
    folded: tuple["Section", ...] = ()
    is_wide: bool = False

    @property
    def anchor(self) -> str:
        """Anchor of its heading, unique where its title is."""
        return "section-" + re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing below the heading."""
        return not (self.plots or self.tables or self.folded)


def table_section(table: Table, *folded: Section) -> Section:
    """Return a section of one table, under the title of the table."""
    return Section(table.title, tables=(table,), folded=folded)


def plots_of(sections: Iterable[Section]) -> list[Plot]:
    """Return all plots in the order they are shown, those of folded parts included."""
    return [plot for section in sections for plot in (*section.plots, *plots_of(section.folded))]


def inline_plots(sections: Iterable[Section]) -> dict[str, Markup]:
    """Return what the page shows, plots or their panels, as SVG elements by name; call inside `drawing()`."""
    return {
        shown.name: inline_svg(shown.figure, shown.name, " ".join(dict.fromkeys((plot.title, shown.title))))
        for plot in plots_of(sections)
        for shown in plot.panels or (plot,)
    }


def write_plots(plots: Sequence[Plot], folder: Path) -> tuple[Path, ...]:
    """Write each plot as SVG, PDF and PNG. Returns the files."""
    files = []
    for plot in plots:
        for suffix, save in _FORMATS.items():
            files.append(check_plain(folder / f"{plot.name}{suffix}"))
            save(plot.figure, files[-1])
    return tuple(files)
