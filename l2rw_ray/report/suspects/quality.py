"""How well rankings find wrong labels, where it is known which are wrong."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from l2rw_ray.report.suspects.label_evidence import LabelEvidence
from l2rw_ray.report.suspects.ranking import EvidenceKind, suspicion
from l2rw_ray.statistics.detection import auroc, precision_at

FRACTIONS = (0.01, 0.05, 0.10)
"""Fractions of the ranking at which precision is reported."""


@dataclass(frozen=True)
class RankingQuality:
    """How well a ranking finds wrong labels, among the labels of which it is known.

    Attributes:
        kind: What labels are ranked by.
        auroc: Probability that a wrong label is ranked before a right one.
        precision: Share of wrong labels among the first, by share of the labels that is looked at.
        wrong: Share of wrong labels among all: the precision of chance.
        known: Number of labels of which it is known.
    """

    kind: EvidenceKind
    auroc: float
    precision: dict[float, float]
    wrong: float
    known: int


def ranking_qualities(evidence: LabelEvidence) -> Iterator[RankingQuality]:
    """Yield how well each kind of evidence finds wrong labels; nothing unless wrong and right are known."""
    known = evidence.is_wrong >= 0
    is_wrong = evidence.is_wrong[known] == 1
    for kind in EvidenceKind:
        suspicion_L = suspicion(evidence, kind)
        if suspicion_L is None:
            continue
        area = auroc(suspicion_L[known], is_wrong)
        if area is not None:
            yield RankingQuality(
                kind, area, precisions(suspicion_L[known], is_wrong), float(is_wrong.mean()), int(known.sum())
            )


def precisions(suspicion_L: np.ndarray, is_wrong_L: np.ndarray) -> dict[float, float]:
    """Return the precision at each of `FRACTIONS`."""
    found = ((fraction, precision_at(suspicion_L, is_wrong_L, fraction)) for fraction in FRACTIONS)
    return {fraction: value for fraction, value in found if value is not None}
