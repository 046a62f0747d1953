"""Write one report of several studies, with the report of each beside it."""

from collections.abc import Sequence
from pathlib import Path

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.combined.parts import (
    FOREST_NOTE,
    combined_csv,
    forest_plots,
    forest_table,
    main_plot,
    main_table,
)
from l2rw_ray.report.combined.profiles import profile_tables
from l2rw_ray.report.combined.summary import CombinedSummary, StudySummary, summarise_combined
from l2rw_ray.report.document.files import FIGURES, ReportPaths, write_texts
from l2rw_ray.report.document.html import fill_page
from l2rw_ray.report.document.markdown import fill_text
from l2rw_ray.report.document.section import Section, inline_plots, plots_of, table_section, write_plots
from l2rw_ray.report.document.style import drawing
from l2rw_ray.report.writing import write_report
from l2rw_ray.results.folder import unwritable
from l2rw_ray.results.plain_files import check_plain

DEFAULT_FOLDER = Path("results") / "joined-report"  # name kept from release 0.1
"""Where a combined report is written by default."""


def write_combined_report(directories: Sequence[Path], out: Path | None = None) -> ReportPaths:
    """Write one report of several studies, from their ledgers alone.

    Args:
        directories: The study folders.
        out: Where to write; each study's own report goes into a folder of its name inside.

    Raises:
        StudyFolderError: A folder is given twice, some cannot be read, or `out` cannot be written.
    """
    summary, folder = summarise_combined(directories), out or DEFAULT_FOLDER
    check_plain(folder / FIGURES)
    try:
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
        for study, directory in zip(summary.studies, directories, strict=True):
            write_report(directory, folder / study.key)
        return _write(summary, folder)
    except OSError as error:
        raise StudyFolderError("report folder", folder, *unwritable(error)) from error


def _write(summary: CombinedSummary, folder: Path) -> ReportPaths:
    with drawing():
        across = _across(summary)
        parts = {study.key: _part(study) for study in summary.studies}
        sections = [*across, *parts.values()]
        plots = write_plots(plots_of(sections), folder / FIGURES)
        fields = {"summary": summary, "across": across, "parts": parts}
        page = fill_page("combined.html.j2", svgs=inline_plots(sections), **fields)
    csv_files = {"results.csv": combined_csv(summary.studies)}
    return write_texts(page, fill_text("combined.md.j2", **fields), csv_files, folder, plots, summary.finding)


def _across(summary: CombinedSummary) -> list[Section]:
    table, plots = forest_table(summary), forest_plots(summary)
    profiles = profile_tables(summary.studies)
    tables = (*((table,) if table else ()), *profiles)
    return [Section("Across studies", plots, tables, FOREST_NOTE)] if plots or profiles else []


def _part(study: StudySummary) -> Section:
    plot, table = main_plot(study), main_table(study)
    folded = (table_section(table),) if table else ()
    return Section(study.summary.question, (plot,) if plot else (), folded=folded)
