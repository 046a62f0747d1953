"""What a report says of a ranking of labels, also where the evidence has been left behind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.suspects.quality import RankingQuality
from l2rw_ray.report.suspects.ranking import EvidenceKind
from l2rw_ray.report.suspects.suspect_list import Suspect, SuspectList
from l2rw_ray.results.atomic import atomic_path
from l2rw_ray.results.examples import EVIDENCE
from l2rw_ray.results.plain_files import open_plain

MAX_SHOWN = 30
"""Labels that a page shows; the files have all."""


@dataclass(frozen=True)
class JudgedRanking:
    """How good a ranking of a design point's labels is.

    Attributes:
        point: Name of the design point.
        quality: The judgement.
    """

    point: str
    quality: RankingQuality


@dataclass(frozen=True)
class SuspectsSummary:
    """The top of a ranking of labels, and how good rankings are where that is known.

    Attributes:
        point: Name of the design point.
        points: Number of design points with evidence that it was chosen from.
        trials: Its trials that kept evidence.
        kind: What labels are ranked by.
        labels: Number of labels.
        contradicted: Those of which models prefer another label.
        unseen: Those predicted by models that had not trained on them.
        is_regression: Whether labels are targets.
        varying: Names of the means that differ between labels.
        top: The first `MAX_SHOWN` labels.
        judged: Rankings of which it is known how good they are.
    """

    point: str
    points: int
    trials: int
    kind: EvidenceKind
    labels: int
    contradicted: int
    unseen: int
    is_regression: bool
    varying: tuple[str, ...]
    top: tuple[Suspect, ...]
    judged: tuple[JudgedRanking, ...] = ()

    def without_previews(self) -> "SuspectsSummary":
        """Return the same without texts and thumbnails."""
        return replace(self, top=tuple(replace(each, image=None, text=None) for each in self.top))


_SUMMARY = TypeAdapter(SuspectsSummary)


def summarise_suspects(suspects: SuspectList, judged: Sequence[JudgedRanking] = ()) -> SuspectsSummary:
    """Return what a report says of a ranking.

    Args:
        suspects: The ranking.
        judged: Rankings of which it is known how good they are.
    """
    evidence = suspects.evidence
    return SuspectsSummary(
        point=suspects.point.name,
        points=suspects.points,
        trials=len(suspects.point.trial_ids),
        kind=suspects.kind,
        labels=len(suspects),
        contradicted=int(evidence.contradicted.sum()),
        unseen=int((evidence.out_of_sample > 0).sum()),
        is_regression=evidence.is_regression,
        varying=tuple(name for name in EVIDENCE if suspects.varies(name)),
        top=tuple(suspects.suspects(MAX_SHOWN)),
        judged=tuple(judged),
    )


def write_summary(path: Path, summary: SuspectsSummary) -> None:
    """Write a summary as JSON, in one step.

    Raises:
        OSError: The file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(_SUMMARY.dump_json(summary, indent=1) + b"\n")


def read_summary(path: Path) -> SuspectsSummary:
    """Read what `write_summary` wrote.

    Raises:
        StudyFolderError: The file cannot be read, or holds something else.
    """
    try:
        with open_plain(path) as file:
            return _SUMMARY.validate_json(file.read())
    except (OSError, ValidationError) as error:
        problem, remedy = "cannot be read", "publish the study again, or remove the file"
        raise StudyFolderError("summary of suspect labels", path, problem, remedy) from error
