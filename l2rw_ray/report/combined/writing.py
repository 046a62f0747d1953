"""Writing several studies' reports as one page, with each one's own report beside it."""

from collections.abc import Sequence
from pathlib import Path

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.combined.parts import (
    FOREST_NOTE,
    forest_pictures,
    forest_table,
    joined_csv,
    main_picture,
    main_table,
)
from l2rw_ray.report.combined.summary import JoinedSummary, summarise_joined
from l2rw_ray.report.document.files import FIGURES, ReportPaths, write_texts
from l2rw_ray.report.document.html import fill_page
from l2rw_ray.report.document.markdown import fill_text
from l2rw_ray.report.document.section import Section, inline_panels, write_pictures
from l2rw_ray.report.document.style import drawing
from l2rw_ray.report.writing import write_report
from l2rw_ray.results.folder import unwritable

JOINED = Path("results") / "joined-report"
"""Where it is written by default."""


def write_joined_report(directories: Sequence[Path], out: Path | None = None) -> ReportPaths:
    """Write one report of several studies, from their ledgers alone.

    Args:
        directories: The study folders.
        out: Where to write; each study's own report goes into a folder of its name inside.

    Raises:
        StudyFolderError: A folder is given twice, some cannot be read, or `out` cannot be written.
    """
    summary, folder = summarise_joined(directories), out or JOINED
    try:
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
        for study, directory in zip(summary.studies, directories, strict=True):
            write_report(directory, folder / study.key)
        return _write(summary, folder)
    except OSError as error:
        raise StudyFolderError("report folder", folder, *unwritable(error)) from error


def _write(summary: JoinedSummary, folder: Path) -> ReportPaths:
    with drawing():
        forests = forest_pictures(summary)
        pictures = {study.key: main_picture(study) for study in summary.studies}
        own = tuple(picture for picture in pictures.values() if picture is not None)
        across = forest_table(summary)
        section = Section("Across studies", forests, (across,) if across else (), FOREST_NOTE)
        fields = {
            "joined": summary,
            "across": section if forests else None,
            "pictures": pictures,
            "tables": {study.key: main_table(study) for study in summary.studies},
        }
        page = fill_page("joined.html.j2", panels=inline_panels([section, Section("", own)]), **fields)
        text = fill_text("joined.md.j2", **fields)
        files = write_pictures((*forests, *own), folder / FIGURES)
    return write_texts((page, text, joined_csv(summary.studies)), folder, files, summary.finding)
