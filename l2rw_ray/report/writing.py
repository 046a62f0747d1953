"""Writing a study's report: one page, one Markdown text, its figures and the numbers behind them."""

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.ablation.csv_files import comparisons_csv, render_csv
from l2rw_ray.report.ablation.page import _pictures, render_html, render_markdown
from l2rw_ray.report.ablation.summarise import summarise
from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.document.files import FIGURES, ReportPaths, write_texts
from l2rw_ray.report.document.section import write_pictures
from l2rw_ray.report.document.style import drawing
from l2rw_ray.report.provenance.trials import trials_csv
from l2rw_ray.report.scaling.csv_files import scaling_csv
from l2rw_ray.report.scaling.page import scaling_page, scaling_text
from l2rw_ray.report.scaling.sections import scaling_sections
from l2rw_ray.report.scaling.summary import ScalingSummary, summarise_scaling
from l2rw_ray.report.search.page import render_search_html, render_search_markdown
from l2rw_ray.report.search.plots import search_pictures
from l2rw_ray.report.search.summary import SearchSummary, summarise_search
from l2rw_ray.report.search.tables import search_csv
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.folder import unwritable

Summary = Ablation | SearchSummary | ScalingSummary
"""What there is to say of a study, of whatever kind."""


def write_report(study_dir: Path, out: Path | None = None) -> ReportPaths:
    """Write the report of a study, finished or not, from its ledger alone.

    Args:
        study_dir: The study folder.
        out: Where to write; `report` inside the study folder by default.

    Raises:
        StudyFolderError: There is no study, no finished trial, or `out` cannot be written.
    """
    summary = summarise_study(study_dir)
    folder = out if out is not None else StudyFolder(study_dir).report
    try:
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
        return _write(summary, folder)
    except OSError as error:
        raise StudyFolderError("report folder", folder, *unwritable(error)) from error


def write_published_page(study_dir: Path) -> Path:
    """Write the report of a published study beside its ledger: the page, the text and the plots it shows.

    Args:
        study_dir: The study folder.

    Returns:
        The page.

    Raises:
        StudyFolderError: There is no study, no finished trial, or the folder cannot be written.
    """
    summary = replace(summarise_study(study_dir), is_published=True)
    try:
        with TemporaryDirectory() as made:
            (Path(made) / FIGURES).mkdir()
            paths = _write(summary, Path(made))
            plots = [path for path in paths.figures if path.suffix == ".svg"]
            (study_dir / FIGURES).mkdir(exist_ok=True)
            for file in (paths.html, paths.markdown, *plots):
                shutil.copyfile(file, study_dir / file.relative_to(made))
            return study_dir / paths.html.name
    except OSError as error:
        raise StudyFolderError("published study", study_dir, *unwritable(error)) from error


def summarise_study(study_dir: Path) -> Summary:
    """Everything the report of any kind of study says.

    Args:
        study_dir: The study folder.

    Raises:
        StudyFolderError: There is no study, or nothing in it that its report could be about.
    """
    spec = StudyFolder(study_dir).read_spec()
    if isinstance(spec.design, SearchDesign):
        return summarise_search(study_dir)
    return summarise_scaling(study_dir) if spec.report == "scaling" else summarise(study_dir)


def _write(summary: Summary, folder: Path) -> ReportPaths:
    if isinstance(summary, ScalingSummary):
        return _write_scaling(summary, folder)
    with drawing():
        pictures = _pictures(summary) if isinstance(summary, Ablation) else search_pictures(summary)
        files = write_pictures(pictures, folder / FIGURES)
    titles = {picture.title: f"{FIGURES}/{picture.name}.svg" for picture in pictures}
    if isinstance(summary, Ablation):
        texts = render_html(summary), render_markdown(summary, titles), render_csv(summary)
    else:
        texts = render_search_html(summary), render_search_markdown(summary, titles), search_csv(summary)
    further = {"trials.csv": trials_csv(summary.trials)}
    if isinstance(summary, Ablation) and summary.pooled:
        further["comparisons.csv"] = comparisons_csv(summary)
    return write_texts(texts, folder, files, summary.finding, further)


def _write_scaling(summary: ScalingSummary, folder: Path) -> ReportPaths:
    with drawing():
        sections = scaling_sections(summary)
        pictures = [picture for section in sections for picture in section.pictures]
        files = write_pictures(pictures, folder / FIGURES)
        page = scaling_page(summary, sections)
    texts = page, scaling_text(summary, sections), scaling_csv(summary)
    return write_texts(texts, folder, files, summary.finding, {"trials.csv": trials_csv(summary.trials)})
