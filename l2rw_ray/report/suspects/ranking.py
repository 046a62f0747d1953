"""Rank labels by one kind of evidence that they are wrong.

Which kind is chosen by the user or by a fixed rule, never by what is known of the labels.

Shape suffixes: L labels.
"""

from enum import StrEnum

import numpy as np

from l2rw_ray.report.suspects.label_evidence import LabelEvidence
from l2rw_ray.statistics.detection import quantiles


class EvidenceKind(StrEnum):
    """A kind of evidence to rank labels by."""

    COMBINED = "combined"
    PREDICTION = "prediction"
    LOSS = "loss"
    WEIGHT = "weight"
    SCORE = "score"


def suspicion(evidence: LabelEvidence, kind: EvidenceKind) -> np.ndarray | None:
    """Return how suspect each label is, float [L], larger being more; None where no label has the evidence.

    - `combined`: the mean of a label's quantiles by `prediction` and by `loss`, as far as it has both.
    - `prediction`: the final models' mean probability of the likeliest other class minus that of the given
      one; of targets how far the mean prediction is off. Labels that no model predicted out of sample are
      ranked among themselves, and both rankings joined by quantile: a model is surer of what it has seen.
    - `loss`: the mean loss in the later half of training.
    - `weight`: minus the mean weight.
    - `score`: minus the mean score.

    A label without evidence gets the lowest value.
    """
    match kind:
        case EvidenceKind.COMBINED:
            found = _combined(_by_prediction(evidence), evidence.means["loss"])
        case EvidenceKind.PREDICTION:
            found = _by_prediction(evidence)
        case EvidenceKind.LOSS:
            found = evidence.means["loss"]
        case EvidenceKind.WEIGHT | EvidenceKind.SCORE:
            found = -evidence.means[kind.value]
    known = ~np.isnan(found)
    if not known.any() or found[known].min() == found[known].max():  # such as the weights of `uniform`
        return None
    return np.where(known, found, found[known].min())


def _by_prediction(evidence: LabelEvidence) -> np.ndarray:
    contradiction: np.ndarray
    if evidence.is_regression:
        contradiction = np.abs(evidence.target - evidence.predicted)
    else:
        contradiction = evidence.other_probability - evidence.given_probability
    out_of_sample = evidence.out_of_sample > 0
    if out_of_sample.all() or not out_of_sample.any():
        return contradiction
    return np.where(
        out_of_sample,
        quantiles(np.where(out_of_sample, contradiction, np.nan)),
        quantiles(np.where(out_of_sample, np.nan, contradiction)),
    )


def _combined(*suspicions: np.ndarray) -> np.ndarray:
    """Return the mean of the quantiles of those that are known; NaN where none is, [L]."""
    stacked = np.stack([quantiles(each) for each in suspicions])
    known = ~np.isnan(stacked)
    totals, counts = np.where(known, stacked, 0.0).sum(axis=0), known.sum(axis=0)
    means: np.ndarray = np.divide(totals, counts, out=np.full(len(totals), np.nan), where=counts > 0)
    return means


def ranked(suspicion_L: np.ndarray) -> np.ndarray:
    """Return positions of labels, int64 [L], the most suspect first; ties in their order."""
    return np.argsort(-suspicion_L, kind="stable")
