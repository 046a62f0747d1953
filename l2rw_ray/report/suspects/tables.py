"""The section of a report on suspect labels, and its tables."""

import base64
from collections.abc import Sequence

from l2rw_ray.report.design_points.labels import count
from l2rw_ray.report.document.section import Section, table_section
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.report.suspects.quality import FRACTIONS, RankingQuality
from l2rw_ray.report.suspects.suspect_list import Suspect, SuspectList

MAX_SHOWN = 30
"""Labels that a page shows; the files have all."""
TITLE = "Labels that may be wrong"
_MAX_TEXT = 160
_MEANS = {
    "weight": ("mean weight", ".2f"),
    "zero_fraction": ("zero weights", ".0%"),
    "loss": ("mean loss", ".2f"),
}
"""Evidence that is shown, with its heading and format."""


def suspects_section(
    suspects: SuspectList, qualities: Sequence[tuple[str, RankingQuality]], *, is_published: bool = False
) -> Section:
    """Return the section: the top of the ranking, and how good rankings are where that is known.

    Args:
        suspects: The ranking.
        qualities: Rankings that were judged, each with the name of its design point.
        is_published: Whether the page stands without CSV files.
    """
    table = suspect_table(suspects, is_published=is_published)
    quality = quality_table(qualities)
    return table_section(table, *([] if quality is None else [table_section(quality)]))


def suspect_table(suspects: SuspectList, *, is_published: bool = False) -> Table:
    """Return the top of the ranking as a table."""
    shown = list(suspects.suspects(MAX_SHOWN))
    has_preview = any(suspect.image or suspect.text for suspect in shown)
    means = [name for name in _MEANS if suspects.varies(name)]
    return Table(
        key="suspects",
        title=TITLE,
        corner="row",
        columns=(
            *(["example"] if has_preview else []),
            *("given", "models prefer"),
            *(_MEANS[name][0] for name in means),
        ),
        rows=tuple(_row(suspect, means, has_preview=has_preview) for suspect in shown),
        note=_note(suspects, is_published=is_published),
        is_text=True,
    )


def quality_table(qualities: Sequence[tuple[str, RankingQuality]]) -> Table | None:
    """Return AUROC and precision of each ranking; None where nothing is known of the labels."""
    if not qualities:
        return None
    return Table(
        key="suspects-quality",
        title="How well rankings find the labels known to be wrong",
        corner="method, ranked by",
        columns=("wrong labels", "AUROC", *(f"wrong in first {fraction:.0%}" for fraction in FRACTIONS)),
        rows=tuple(
            TableRow(
                f"{name}, {quality.kind.value}",
                (
                    TableCell(f"{quality.wrong:.1%} of {quality.known:,}"),
                    TableCell(f"{quality.auroc:.3f}"),
                    *(TableCell(f"{quality.precision[fraction]:.0%}") for fraction in FRACTIONS),
                ),
            )
            for name, quality in qualities
        ),
        note=(
            "A random order finds wrong labels at their share of all. Where noise is simulated, a row counts "
            "once for each label that a seed gave it. The truth is used for this table alone, neither to "
            "rank nor to choose a ranking."
        ),
    )


def _note(suspects: SuspectList, *, is_published: bool) -> str:
    evidence, point = suspects.evidence, suspects.point
    prefer = f"Models prefer another label for {int(evidence.contradicted.sum()):,} of {len(suspects):,}"
    if evidence.is_regression:
        prefer = f"What models predict stands under models prefer, for {len(suspects):,} targets"
    unseen = int((evidence.out_of_sample > 0).sum())
    best = " (the best on the validation set)" if suspects.points > 1 else ""
    parts = [
        f"By {suspects.kind.value} evidence of {count(len(point.trial_ids), 'trial')} of {point.name}{best}.",
        f"{prefer}; {unseen:,} were predicted by models that had not trained on them.",
        "Weights are relative to uniform ones; weights and losses are means over the later half of training.",
    ]
    parts.append(f"The whole ranking: {'' if is_published else 'suspects.csv and '}suspects.parquet.")
    return " ".join(parts)


def _row(suspect: Suspect, means: Sequence[str], *, has_preview: bool) -> TableRow:
    preview = TableCell(shortened(suspect.text or ""), image=_data_uri(suspect.image))
    return TableRow(
        suspect.id,
        (
            *([preview] if has_preview else []),
            TableCell(suspect.given, detail=percent(suspect.given_probability)),
            TableCell(suspect.preferred, detail=percent(suspect.preferred_probability)),
            *(TableCell(mean_text(name, suspect.means[name])) for name in means),
        ),
    )


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
