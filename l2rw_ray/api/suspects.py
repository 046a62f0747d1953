"""The labels of a study that are probably wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from l2rw_ray.api import html
from l2rw_ray.errors import InputError
from l2rw_ray.printable import printable
from l2rw_ray.report.suspects.ranking import EvidenceKind
from l2rw_ray.report.suspects.suspect_list import Suspect, SuspectList, list_suspects
from l2rw_ray.report.suspects.tables import percent, shortened
from l2rw_ray.results.opening import read_study_folder

_MAX_TEXT = 60


@dataclass(frozen=True, repr=False)
class Suspects:
    """The labels of a study's best design point, the most suspect first; iterate for one after another.

    Attributes:
        ranking: The ranking of all labels.
    """

    ranking: SuspectList

    def __len__(self) -> int:
        return len(self.ranking)

    def __iter__(self) -> Iterator[Suspect]:
        return iter(self.ranking.suspects())

    def top(self, count: int = 20) -> list[Suspect]:
        """Return the labels that are most suspect."""
        return list(self.ranking.suspects(count))

    def __repr__(self) -> str:
        return printable(f"<{len(self):,} labels of {self.ranking.point.name}, the most suspect first>")

    def _repr_html_(self) -> str:
        rows = [
            (
                each.rank,
                each.id,
                _with_probability(each.given, each.given_probability),
                _with_probability(each.preferred, each.preferred_probability),
                shortened(each.text or "", _MAX_TEXT),
            )
            for each in self.top(html.MAX_ROWS + 1)
        ]
        texts = any(row[-1] for row in rows)
        headings = ("", "row", "given", "models prefer", *(["text"] if texts else []))
        shown = [row if texts else row[:-1] for row in rows[: html.MAX_ROWS]]
        note = f"{len(self):,} labels of {self.ranking.point.name}, the most suspect first"
        return html.table(headings, shown) + html.paragraph(note)


def suspects_of(out: str, by: str, where: Mapping[str, object]) -> Suspects:
    """Rank a study's labels; see `StudyResults.suspects`."""
    try:
        kind = EvidenceKind(by)
    except ValueError:
        known = ", ".join(EvidenceKind)
        raise InputError("by", by, "no kind of evidence", f"use one of {known}") from None
    with read_study_folder(out) as folder:
        folder.fetch_examples()
        return Suspects(list_suspects(folder, kind, {path: str(level) for path, level in where.items()}))


def _with_probability(label: str, probability: float | None) -> str:
    return label if probability is None else f"{label} ({percent(probability)})"
