"""Write a report's files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

FIGURES = "figures"


@dataclass(frozen=True)
class ReportPaths:
    """Where a report was written.

    Attributes:
        html: The page, with everything in it.
        markdown: The text that links to the figures.
        csv: The design points' figures.
        figures: SVG files, and the main figure as PNG.
        finding: The answer in one sentence.
        further_csv: Each trial, and all differences where there are any.
    """

    html: Path
    markdown: Path
    csv: Path
    figures: tuple[Path, ...]
    finding: str
    further_csv: tuple[Path, ...] = ()


def write_texts(
    texts: tuple[str, str, str],
    folder: Path,
    figures: tuple[Path, ...],
    finding: str,
    further: Mapping[str, str] = MappingProxyType({}),
) -> ReportPaths:
    """Write a report's page, text and numbers.

    Args:
        texts: The three, in this order.
        folder: Where to, an existing folder.
        figures: Its figures, written before.
        finding: The answer in one sentence.
        further: Further numbers by name of the file.
    """
    names = ("report.html", "report.md", "results.csv", *further)
    for name, text in zip(names, (*texts, *further.values()), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    html, markdown, csv, *others = (folder / name for name in names)
    return ReportPaths(html, markdown, csv, figures, finding, tuple(others))
