"""Suspect labels in the report of a study."""

from dataclasses import dataclass
from pathlib import Path

from l2rw_ray.errors import InputError
from l2rw_ray.report.document.section import Section
from l2rw_ray.report.suspects.points import points_with_evidence
from l2rw_ray.report.suspects.quality import RankingQuality, ranking_qualities
from l2rw_ray.report.suspects.suspect_list import SuspectList, list_suspects
from l2rw_ray.report.suspects.tables import suspects_section
from l2rw_ray.results.folder import StudyFolder


@dataclass(frozen=True)
class StudySuspects:
    """The suspect labels of a study.

    Attributes:
        ranking: The ranking of the design point that did best on the validation set; None without evidence.
        qualities: How well each ranking of each design point finds labels known to be wrong.
        problem: Why there is no ranking although there is evidence; empty where there is one, or none.
    """

    ranking: SuspectList | None = None
    qualities: tuple[tuple[str, RankingQuality], ...] = ()
    problem: str = ""

    def sections(self, *, is_published: bool = False) -> list[Section]:
        """Return the section of the report; none without a ranking."""
        if self.ranking is None:
            return []
        return [suspects_section(self.ranking, self.qualities, is_published=is_published)]


def study_suspects(study_dir: Path) -> StudySuspects:
    """Rank the labels of a study, as far as its trials kept evidence.

    Evidence that cannot be read is a problem of the section, not of the report.
    """
    folder = StudyFolder(study_dir)
    if not folder.examples.is_dir():
        return StudySuspects()
    try:
        points = points_with_evidence(folder)
        if not points:
            return StudySuspects()
        ranking = list_suspects(folder)
        judged = [
            (point.name, quality)
            for point in points
            for quality in ranking_qualities(point.read(folder, previews=False))
        ]
    except InputError as error:
        return StudySuspects(problem=f"No labels are ranked: {error}")
    return StudySuspects(ranking, tuple(judged))
