"""Writing a study's report: one page, one Markdown text, its figures and the numbers behind them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from l2rw_ray.config.search import SearchDesign
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.ablation import summarise
from l2rw_ray.report.curve_figures import MOST_FURTHER_PANELS, curve_settings, draw_curves
from l2rw_ray.report.drawing import drawing
from l2rw_ray.report.figures import draw_differences, draw_effect
from l2rw_ray.report.labels import MEASURES
from l2rw_ray.report.render_csv import comparisons_csv, render_csv
from l2rw_ray.report.render_html import render_html, render_search_html
from l2rw_ray.report.render_markdown import render_markdown, render_search_markdown
from l2rw_ray.report.scaling import ScalingSummary, summarise_scaling
from l2rw_ray.report.scaling_csv import scaling_csv
from l2rw_ray.report.scaling_page import scaling_page, scaling_text
from l2rw_ray.report.scaling_sections import scaling_sections
from l2rw_ray.report.search import SearchSummary, summarise_search
from l2rw_ray.report.search_figures import search_pictures
from l2rw_ray.report.search_tables import search_csv
from l2rw_ray.report.sections import Picture, write_pictures
from l2rw_ray.report.summary import Ablation
from l2rw_ray.report.trials import trials_csv
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.folder import unwritable

FIGURES = "figures"
Summary = Ablation | SearchSummary | ScalingSummary
"""What there is to say of a study, of whatever kind."""


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


def _pictures(summary: Ablation) -> list[Picture]:
    """The figures of a study of design points."""
    label = summary.measure.label
    pictures = [
        Picture(
            "effect" if number == 0 else f"effect-{number + 1}",
            f"{label} by {effect.factor.name}",
            draw_effect(summary, effect),
        )
        for number, effect in enumerate(summary.effects)
        if effect.points
    ]
    differences = draw_differences(summary)
    if differences is not None:
        pictures.append(Picture("differences", f"paired difference to {summary.control}", differences))
    settings = curve_settings(summary.curves)
    if settings:
        curves = draw_curves(summary, summary.curves, settings)
        pictures.append(Picture("learning-curves", "learning curves", curves))
        if summary.equal_compute:
            few = curve_settings(summary.curves, MOST_FURTHER_PANELS)
            by_time = draw_curves(summary, summary.curves, few, by_time=True)
            pictures.append(Picture("time-curves", "learning curves over training time", by_time))
    for name, curves_of_weights in summary.weight_curves.items():
        few = curve_settings(curves_of_weights, MOST_FURTHER_PANELS)
        if few:
            figure = draw_curves(summary, curves_of_weights, few)
            key = f"weights-{name.replace('_', '-')}"
            pictures.append(Picture(key, f"{MEASURES[name].label} per epoch", figure))
    return pictures
