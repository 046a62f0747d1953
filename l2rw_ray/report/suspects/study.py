"""Suspect labels in the report of a study."""

from dataclasses import dataclass, replace
from pathlib import Path

from l2rw_ray.errors import InputError
from l2rw_ray.report.document.section import Section
from l2rw_ray.report.suspects.points import points_with_evidence
from l2rw_ray.report.suspects.quality import ranking_qualities
from l2rw_ray.report.suspects.summary import (
    JudgedRanking,
    SuspectsSummary,
    read_summary,
    summarise_suspects,
)
from l2rw_ray.report.suspects.suspect_list import SuspectList, list_suspects
from l2rw_ray.report.suspects.tables import suspects_section
from l2rw_ray.results.folder import StudyFolder


@dataclass(frozen=True)
class StudySuspects:
    """The suspect labels of a study.

    Attributes:
        ranking: The ranking of the design point that did best on the validation set; None without evidence.
        summary: What the report says of it; None where neither evidence nor a published summary is there.
        problem: Why there is no ranking although there is evidence; empty where there is one, or none.
    """

    ranking: SuspectList | None = None
    summary: SuspectsSummary | None = None
    problem: str = ""

    def sections(self, *, has_csv: bool = True) -> list[Section]:
        """Return the section of the report; none without a summary.

        Args:
            has_csv: Whether the ranking is written beside the report as CSV, too.
        """
        return [] if self.summary is None else [suspects_section(self.summary, has_csv=has_csv)]

    def without_previews(self) -> "StudySuspects":
        """Return the same without the texts and thumbnails of examples."""
        ranking, summary = self.ranking, self.summary
        if ranking is not None:
            ranking = replace(ranking, evidence=replace(ranking.evidence, images={}, texts={}))
        return replace(self, ranking=ranking, summary=summary and summary.without_previews())


def study_suspects(study_dir: Path) -> StudySuspects:
    """Rank the labels of a study, as far as its trials kept evidence; of a published one, read the ranking.

    Evidence that cannot be read is a problem of the section, not of the report.
    """
    folder = StudyFolder(study_dir)
    try:
        if not folder.examples.is_dir():
            published = folder.suspects_summary
            return StudySuspects(summary=read_summary(published) if published.exists() else None)
        points = points_with_evidence(folder)
        if not points:
            return StudySuspects()
        ranking = list_suspects(folder)
        judged = [
            JudgedRanking(point.name, quality)
            for point in points
            for quality in ranking_qualities(point.read(folder, previews=False))
        ]
    except InputError as error:
        return StudySuspects(problem=f"No labels are ranked: {error}")
    return StudySuspects(ranking, summarise_suspects(ranking, judged))
