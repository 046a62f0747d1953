"""The labels of one design point, ranked by how suspect they are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import ConfigDict

from l2rw_ray.errors import InputError
from l2rw_ray.report.suspects.label_evidence import LabelEvidence
from l2rw_ray.report.suspects.points import EvidencePoint, best_point, points_where, require_points
from l2rw_ray.report.suspects.ranking import EvidenceKind, ranked, suspicion
from l2rw_ray.results.folder import StudyFolder


@dataclass(frozen=True)
class Suspect:
    """One label in the ranking.

    Attributes:
        rank: Its place, from 1.
        id: Name of its row.
        given: The label as given.
        preferred: The label that the models prefer, which may be the same.
        given_probability: Mean probability of the given label; None for a target.
        preferred_probability: Mean probability of the preferred one; None for a target.
        means: Weight, share of zero weights, score and loss by name; None where there is none.
        trained: Models that trained on it.
        out_of_sample: Models that predicted it without having trained on its row; if 0, the probabilities are
            of models that did.
        is_contradicted: Whether the models prefer another label.
        is_wrong: Whether it is known to be wrong; None where nobody knows.
        image: A thumbnail as PNG; None without.
        text: The beginning of its text; None without.
    """

    __pydantic_config__ = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    rank: int
    id: str
    given: str
    preferred: str
    given_probability: float | None
    preferred_probability: float | None
    means: Mapping[str, float | None]
    trained: int
    out_of_sample: int
    is_contradicted: bool
    is_wrong: bool | None
    image: bytes | None
    text: str | None


@dataclass(frozen=True)
class SuspectList:
    """All labels of a design point, the most suspect first.

    Attributes:
        point: The design point.
        points: Number of design points with evidence that it was chosen from.
        kind: What labels are ranked by.
        evidence: Evidence of its trials on each label.
        order: Positions in the evidence, the most suspect first, int64 [L].
    """

    point: EvidencePoint
    points: int
    kind: EvidenceKind
    evidence: LabelEvidence
    order: np.ndarray

    def __len__(self) -> int:
        return len(self.order)

    def varies(self, name: str) -> bool:
        """Return whether a mean differs between labels, as the weights of `uniform` do not."""
        values = self.evidence.means[name]
        known = values[~np.isnan(values)]
        return len(known) > 0 and bool(known.min() < known.max())

    def suspects(self, top: int | None = None) -> Iterator[Suspect]:
        """Yield the first labels of the ranking, or all of them."""
        for place, label in enumerate(self.order[:top].tolist()):
            yield self._suspect(place + 1, label)

    def _suspect(self, rank: int, label: int) -> Suspect:
        evidence = self.evidence
        known = int(evidence.is_wrong[label])
        return Suspect(
            rank=rank,
            id=evidence.ids[label],
            given=self._given(label),
            preferred=self._preferred(label),
            given_probability=_number(evidence.given_probability[label]),
            preferred_probability=_number(evidence.preferred_probability[label]),
            means={name: _number(values[label]) for name, values in evidence.means.items()},
            trained=int(evidence.trained[label]),
            out_of_sample=int(evidence.out_of_sample[label]),
            is_contradicted=bool(evidence.contradicted[label]),
            is_wrong=None if known < 0 else bool(known),
            image=evidence.images.get(label),
            text=evidence.texts.get(label),
        )

    def _given(self, label: int) -> str:
        evidence = self.evidence
        if evidence.is_regression:
            return f"{evidence.target[label]:.6g}"
        return evidence.class_names[int(evidence.given[label])]

    def _preferred(self, label: int) -> str:
        evidence = self.evidence
        if evidence.is_regression:
            return f"{evidence.predicted[label]:.6g}"
        return evidence.class_names[int(evidence.preferred[label])]


def list_suspects(
    folder: StudyFolder,
    kind: EvidenceKind = EvidenceKind.COMBINED,
    where: Mapping[str, str] | None = None,
) -> SuspectList:
    """Rank the labels of the design point that did best on the validation set.

    Args:
        folder: The study folder; from an object store, its evidence has been fetched.
        kind: What to rank by.
        where: Levels that the design point must have as text, by path relative to `trial`.

    Raises:
        StudyFolderError: The folder holds no study, no evidence, or something unreadable.
        InputError: No design point has those levels, or its trials have no such evidence.
    """
    points = points_where(require_points(folder), where or {})
    point = best_point(points, folder.read_spec())
    evidence = point.read(folder)
    suspicion_L = suspicion(evidence, kind)
    if suspicion_L is None:
        problem = f"{point.name} gives all labels the same"
        raise InputError(
            "--by", kind.value, problem, "rank by prediction or loss, or choose a point by --where"
        )
    return SuspectList(point, len(points), kind, evidence, ranked(suspicion_L))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
