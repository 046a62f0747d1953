"""Write a study's report: a page, a Markdown text, their plots and the numbers behind them."""

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.ablation.csv_files import comparisons_csv, render_csv
from l2rw_ray.report.ablation.sections import ablation_sections
from l2rw_ray.report.ablation.summarise import summarise
from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.document.files import FIGURES, ReportPaths, write_texts
from l2rw_ray.report.document.html import fill_page
from l2rw_ray.report.document.markdown import fill_text
from l2rw_ray.report.document.section import Section, inline_plots, plots_of, write_plots
from l2rw_ray.report.document.style import drawing
from l2rw_ray.report.latex.writing import write_latex
from l2rw_ray.report.provenance.trials import trials_csv
from l2rw_ray.report.scaling.csv_files import scaling_csv
from l2rw_ray.report.scaling.sections import scaling_sections
from l2rw_ray.report.scaling.summary import ScalingSummary, summarise_scaling
from l2rw_ray.report.search.sections import search_sections
from l2rw_ray.report.search.summary import SearchSummary, summarise_search
from l2rw_ray.report.search.tables import search_csv
from l2rw_ray.report.suspects.files import RANKING_FILE, write_rankings
from l2rw_ray.report.suspects.study import StudySuspects, study_suspects
from l2rw_ray.report.suspects.summary import write_summary
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.folder import unwritable
from l2rw_ray.results.plain_files import check_plain
from l2rw_ray.results.suspects import remove_previews

StudyReport = Ablation | SearchSummary | ScalingSummary
"""The summary of a study, whatever its kind."""


def write_report(study_dir: Path, out: Path | None = None, *, latex: bool = False) -> ReportPaths:
    """Write the report of a study, finished or not, from its ledger alone.

    Args:
        study_dir: The study folder.
        out: Where to write; `report` inside the study folder by default.
        latex: Whether to write tables, figures, a paragraph on methods and references in LaTeX, too.

    Returns:
        The files written, and the finding.

    Raises:
        StudyFolderError: There is no study, no finished trial, or `out` cannot be written.
    """
    summary = summarise_study(study_dir)
    folder = out if out is not None else StudyFolder(study_dir).report
    check_plain(folder / FIGURES)
    try:
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
        return _write(summary, study_suspects(study_dir), folder, latex=latex)
    except OSError as error:
        raise StudyFolderError("report folder", folder, *unwritable(error)) from error


def write_published_page(study_dir: Path, run_dir: Path | None = None, *, previews: bool = False) -> Path:
    """Write the report of a published study beside its ledger: the page, the text and the plots it shows.

    Args:
        study_dir: The published study.
        run_dir: The study folder it was made of, whose evidence on labels it does not hold but their ranking;
            None where it is the same.
        previews: Whether suspect labels are shown with texts and thumbnails of their examples.

    Returns:
        The page.

    Raises:
        StudyFolderError: There is no study, no finished trial, or the folder cannot be written.
    """
    summary = replace(summarise_study(study_dir), is_published=True)
    suspects = study_suspects(run_dir or study_dir)
    if not previews:
        suspects = suspects.without_previews()
    check_plain(study_dir / FIGURES)
    try:
        with TemporaryDirectory() as made:
            (Path(made) / FIGURES).mkdir()
            paths = _write(summary, suspects, Path(made))
            plots = [path for path in paths.plots if path.suffix == ".svg"]
            (study_dir / FIGURES).mkdir(exist_ok=True)
            for file in (paths.html, paths.markdown, *plots):
                shutil.copyfile(file, check_plain(study_dir / file.relative_to(made)))
            _publish_suspects(suspects, Path(made), StudyFolder(study_dir), previews=previews)
            return study_dir / paths.html.name
    except OSError as error:
        raise StudyFolderError("published study", study_dir, *unwritable(error)) from error


def _publish_suspects(suspects: StudySuspects, made: Path, published: StudyFolder, *, previews: bool) -> None:
    """Put a ranking of labels beside a published ledger, and remove an earlier one where there is none."""
    if suspects.ranking is not None:
        shutil.copyfile(made / RANKING_FILE, check_plain(published.suspects))
    elif not previews and published.suspects.is_file():
        remove_previews(published.suspects)
    if suspects.summary is not None:
        write_summary(published.suspects_summary, suspects.summary)
    elif not suspects.problem:
        for file in (published.suspects, published.suspects_summary):
            file.unlink(missing_ok=True)


def summarise_study(study_dir: Path) -> StudyReport:
    """Return everything that the report of a study says, whatever its kind.

    Args:
        study_dir: The study folder.

    Raises:
        StudyFolderError: There is no study, or nothing in it to report.
    """
    spec = StudyFolder(study_dir).read_spec()
    if isinstance(spec.design, SearchDesign):
        return summarise_search(study_dir)
    return summarise_scaling(study_dir) if spec.report == "scaling" else summarise(study_dir)


def _write(
    summary: StudyReport, suspects: StudySuspects, folder: Path, *, latex: bool = False
) -> ReportPaths:
    csv_files = _csv_files(summary)
    if suspects.problem:
        summary = replace(summary, warnings=(*summary.warnings, suspects.problem))
    if suspects.ranking is not None:
        write_rankings(suspects.ranking, folder)
    with drawing():
        has_csv = suspects.ranking is not None and not summary.is_published
        sections = [*_sections(summary), *suspects.sections(has_csv=has_csv)]
        plots = write_plots(plots_of(sections), folder / FIGURES)
        fields = {"summary": summary, "sections": sections, "csv_files": tuple(csv_files)}
        page = fill_page("report.html.j2", svgs=inline_plots(sections), **fields)
        latex_files = write_latex(summary, sections, folder) if latex else ()
    text = fill_text("report.md.j2", **fields)
    paths = write_texts(page, text, csv_files, folder, plots, summary.finding)
    return replace(paths, latex=latex_files)


def _sections(summary: StudyReport) -> list[Section]:
    match summary:
        case ScalingSummary():
            return scaling_sections(summary)
        case SearchSummary():
            return search_sections(summary)
        case Ablation():
            return ablation_sections(summary)


def _csv_files(summary: StudyReport) -> dict[str, str]:
    """Return the CSV files by name, the numbers behind the answer first."""
    trials = {"trials.csv": trials_csv(summary.trials)}
    match summary:
        case ScalingSummary():
            return {"results.csv": scaling_csv(summary)} | trials
        case SearchSummary():
            return {"results.csv": search_csv(summary)} | trials
        case Ablation():
            comparisons = {"comparisons.csv": comparisons_csv(summary)} if summary.pooled else {}
            return {"results.csv": render_csv(summary)} | trials | comparisons
