"""Write a report's files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from l2rw_ray.results.plain_files import check_plain

FIGURES = "figures"
"""Folder of the plots."""


@dataclass(frozen=True)
class ReportPaths:
    """Where a report was written.

    Attributes:
        html: The page, with everything in it.
        markdown: The text that links to the plots.
        csv: The numbers behind the answer.
        plots: Each plot as SVG, PDF and PNG.
        finding: The answer in one sentence.
        further_csv: Each trial, and all differences where there are any.
        latex: Files for a paper, the document that shows them first; empty where none were asked for.
    """

    html: Path
    markdown: Path
    csv: Path
    plots: tuple[Path, ...]
    finding: str
    further_csv: tuple[Path, ...] = ()
    latex: tuple[Path, ...] = ()


def write_texts(
    page: str, text: str, csv_files: Mapping[str, str], folder: Path, plots: tuple[Path, ...], finding: str
) -> ReportPaths:
    """Write a report's page, text and numbers.

    Args:
        page: The page.
        text: The Markdown text.
        csv_files: CSV by name of the file, the numbers behind the answer first.
        folder: Where to write; an existing folder.
        plots: The plots, already written.
        finding: The answer in one sentence.
    """
    texts = {"report.html": page, "report.md": text, **csv_files}
    for name, content in texts.items():
        check_plain(folder / name).write_text(content, encoding="utf-8")
    html, markdown, csv, *further = (folder / name for name in texts)
    return ReportPaths(html, markdown, csv, plots, finding, tuple(further))
