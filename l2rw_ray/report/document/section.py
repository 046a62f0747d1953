"""What stands under one heading of a report: figures and the tables that go with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from l2rw_ray.report.document.svg import inline_svg, save_png, save_svg
from l2rw_ray.report.document.table import Table


@dataclass(frozen=True)
class Picture:
    """A figure with its caption.

    Attributes:
        name: Name of its file, without suffix; unique in the report.
        title: What it shows.
        figure: The figure.
    """

    name: str
    title: str
    figure: Figure


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: Its heading.
        pictures: Its figures.
        tables: Its tables.
        note: How to read the figures.
        folded: Whether the page shows its tables on demand only.
    """

    title: str
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    note: str = ""
    folded: bool = False


def inline_panels(sections: Sequence[Section]) -> dict[str, Markup]:
    """All figures as SVG elements, by name; call inside `drawing()`."""
    return {
        picture.name: inline_svg(picture.figure, picture.name, picture.title)
        for section in sections
        for picture in section.pictures
    }


def write_pictures(pictures: Sequence[Picture], folder: Path) -> tuple[Path, ...]:
    """Each figure as SVG, the first one as PNG too."""
    files = []
    for number, picture in enumerate(pictures):
        files.append(folder / f"{picture.name}.svg")
        save_svg(picture.figure, files[-1])
        if number == 0:
            files.append(folder / f"{picture.name}.png")
            save_png(picture.figure, files[-1])
    return tuple(files)
