"""The section of a report on suspect labels, and its tables."""

import base64
from collections.abc import Sequence

from l2rw_ray.report.design_points.labels import count
from l2rw_ray.report.document.section import Section, table_section
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.report.suspects.quality import FRACTIONS
from l2rw_ray.report.suspects.summary import JudgedRanking, SuspectsSummary
from l2rw_ray.report.suspects.suspect_list import Suspect

TITLE = "Labels that may be wrong"
_MAX_TEXT = 160
_MEANS = {
    "weight": ("mean weight", ".2f"),
    "zero_fraction": ("zero weights", ".0%"),
    "loss": ("mean loss", ".2f"),
}
"""Evidence that is shown, with its heading and format."""


def suspects_section(suspects: SuspectsSummary, *, has_csv: bool = True) -> Section:
    """Return the section: the top of the ranking, and how good rankings are where that is known.

    Args:
        suspects: The ranking.
        has_csv: Whether the ranking is written beside the report as CSV, too.
    """
    table = suspect_table(suspects, has_csv=has_csv)
    quality = quality_table(suspects.judged)
    return table_section(table, *([] if quality is None else [table_section(quality)]))


def suspect_table(suspects: SuspectsSummary, *, has_csv: bool = True) -> Table:
    """Return the top of the ranking as a table."""
    has_preview = any(suspect.image or suspect.text for suspect in suspects.top)
    means = [name for name in _MEANS if name in suspects.varying]
    return Table(
        key="suspects",
        title=TITLE,
        corner="row",
        columns=(
            *(["example"] if has_preview else []),
            *("given", "models prefer"),
            *(_MEANS[name][0] for name in means),
        ),
        rows=tuple(_row(suspect, means, has_preview=has_preview) for suspect in suspects.top),
        note=_note(suspects, has_csv=has_csv),
        is_text=True,
    )


def quality_table(judged: Sequence[JudgedRanking]) -> Table | None:
    """Return AUROC and precision of each ranking; None where nothing is known of the labels."""
    if not judged:
        return None
    return Table(
        key="suspects-quality",
        title="How well rankings find the labels known to be wrong",
        corner="method, ranked by",
        columns=("wrong labels", "AUROC", *(f"wrong in first {fraction:.0%}" for fraction in FRACTIONS)),
        rows=tuple(_quality_row(each) for each in judged),
        note=(
            "A random order finds wrong labels at their share of all. Where noise is simulated, a row counts "
            "once for each label that a seed gave it. The truth is used for this table alone, neither to "
            "rank nor to choose a ranking."
        ),
    )


def _quality_row(judged: JudgedRanking) -> TableRow:
    quality = judged.quality
    return TableRow(
        f"{judged.point}, {quality.kind.value}",
        (
            TableCell(f"{quality.wrong:.1%} of {quality.known:,}"),
            TableCell(f"{quality.auroc:.3f}"),
            *(TableCell(_share(quality.precision.get(fraction))) for fraction in FRACTIONS),
        ),
    )


def _note(suspects: SuspectsSummary, *, has_csv: bool) -> str:
    prefer = f"Models prefer another label for {suspects.contradicted:,} of {suspects.labels:,}"
    if suspects.is_regression:
        prefer = f"What models predict stands under models prefer, for {suspects.labels:,} targets"
    best = " (the best on the validation set)" if suspects.points > 1 else ""
    parts = [
        f"By {suspects.kind.value} evidence of {count(suspects.trials, 'trial')} of {suspects.point}{best}.",
        f"{prefer}; {suspects.unseen:,} were predicted by models that had not trained on them.",
        "Weights are relative to uniform ones; weights and losses are means over the later half of training.",
    ]
    parts.append(f"The whole ranking: {'suspects.csv and ' if has_csv else ''}suspects.parquet.")
    return " ".join(parts)


def _row(suspect: Suspect, means: Sequence[str], *, has_preview: bool) -> TableRow:
    preview = TableCell(shortened(suspect.text or ""), image=_data_uri(suspect.image))
    return TableRow(
        suspect.id,
        (
            *([preview] if has_preview else []),
            TableCell(suspect.given, detail=percent(suspect.given_probability)),
            TableCell(suspect.preferred, detail=percent(suspect.preferred_probability)),
            *(TableCell(mean_text(name, suspect.means.get(name))) for name in means),
        ),
    )


def _share(value: float | None) -> str:
    """Return a share as text; empty where there is none."""
    return "" if value is None else f"{value:.0%}"


def mean_text(name: str, value: float | None) -> str:
    """Return the mean weight, share of zero weights or mean loss as text; empty where there is none."""
    return "" if value is None else format(value, _MEANS[name][1])


def shortened(text: str, length: int = _MAX_TEXT) -> str:
    """Return a text on one line, cut off after some characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def percent(value: float | None) -> str:
    """Return a probability as text; empty where there is none."""
    return "" if value is None else f"{value:.1%}"


def _data_uri(image: bytes | None) -> str:
    return "" if image is None else f"data:image/png;base64,{base64.b64encode(image).decode()}"
