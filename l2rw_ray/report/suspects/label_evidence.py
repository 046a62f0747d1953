"""Average the evidence on each label over seeds, out of sample where possible.

Shape suffixes: L labels, N examples of one trial, K most probable classes of one trial.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from l2rw_ray.report.suspects.mean_probabilities import MeanProbabilities, mean_probabilities
from l2rw_ray.results.examples import EVIDENCE, ExampleRecord


@dataclass(frozen=True, kw_only=True)
class LabelEvidence:
    """Evidence of the trials of one design point on each label that any of them trained on.

    A label is a row of the source with what it was given as: noise that is simulated differs between seeds.

    Attributes:
        class_names: Name of each class.
        is_regression: Whether labels are targets.
        ids: Name of each row, [L].
        row: Row in the source, int64 [L].
        given: Class as labelled, int64 [L]; of a regression the stratum.
        target: Target as given, float [L]; NaN for classes.
        is_wrong: 1 where the label is known to be wrong, 0 where known to be right, else −1, int8 [L].
        trained: Number of models trained on it, [L].
        out_of_sample: Number of models that predicted it without having trained on the row, [L].
        means: Weight, share of zero weights, score and loss, by name, over the trials that trained on it, NaN
            where none has one, float [L].
        given_probability: Mean predicted probability of the given class, out of sample where there are such
            models, else of those trained on it, float [L]; NaN for targets.
        preferred: Class with the largest mean probability, int64 [L]; −1 for targets.
        preferred_probability: That probability, float [L].
        other_probability: The largest mean probability of any class but the given one, float [L].
        predicted: Mean predicted target, of the same models, float [L]; NaN for classes.
        images: Thumbnails as PNG by position, of some.
        texts: Beginnings of texts by position, of some.
    """

    class_names: tuple[str, ...]
    is_regression: bool
    ids: tuple[str, ...]
    row: np.ndarray
    given: np.ndarray
    target: np.ndarray
    is_wrong: np.ndarray
    trained: np.ndarray
    out_of_sample: np.ndarray
    means: dict[str, np.ndarray]
    given_probability: np.ndarray
    preferred: np.ndarray
    preferred_probability: np.ndarray
    other_probability: np.ndarray
    predicted: np.ndarray
    images: dict[int, bytes]
    texts: dict[int, str]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def contradicted(self) -> np.ndarray:
        """Labels in place of which the models prefer another class, bool [L]; none of a regression's."""
        found: np.ndarray = (self.preferred >= 0) & (self.preferred != self.given)
        return found


def combine(records: Sequence[ExampleRecord]) -> LabelEvidence:
    """Average the evidence of the trials of one design point.

    Args:
        records: One per seed, at least one.
    """
    first = records[0]
    keys = np.unique(np.concatenate([_keys(record)[record.is_trained] for record in records]), axis=0)
    views = [_View.of(record, keys) for record in records]
    trained = np.sum([view.is_trained for view in views], axis=0)
    out_of_sample = np.sum([view.is_untrained for view in views], axis=0)
    used = [np.where(out_of_sample > 0, view.is_untrained, view.is_trained) for view in views]
    is_regression = first.classes.shape[1] == 0
    given = keys[:, 1]
    probabilities = _probabilities(views, used, given, is_regression=is_regression)
    return LabelEvidence(
        class_names=first.class_names,
        is_regression=is_regression,
        ids=_ids(views, len(keys)),
        row=keys[:, 0],
        given=given,
        target=keys[:, 2].astype(np.int32).view(np.float32).astype(float),
        is_wrong=np.max([np.where(view.is_trained, view.of_trial("is_wrong"), -1) for view in views], axis=0),
        trained=trained,
        out_of_sample=out_of_sample,
        means={name: _mean([view.evidence(name) for view in views]) for name in EVIDENCE},
        given_probability=probabilities.given,
        preferred=probabilities.preferred,
        preferred_probability=probabilities.preferred_probability,
        other_probability=probabilities.other,
        predicted=_mean(
            [np.where(use, view.of_trial("predicted"), np.nan) for view, use in zip(views, used, strict=True)]
        ),
        images=_previews(views, "images"),
        texts=_previews(views, "texts"),
    )


def _keys(record: ExampleRecord) -> np.ndarray:
    """Return row, class and the bits of the target of each example, int64 [N, 3]."""
    bits = record.target.astype(np.float32).view(np.int32)
    return np.stack([record.row, record.given, bits], axis=1).astype(np.int64)


@dataclass(frozen=True)
class _View:
    """One trial, seen from the labels of all trials.

    Attributes:
        record: The trial's evidence.
        place: Position of each label's row in it, int64 [L]; any where it is absent.
        is_trained: Labels that the model was trained on, bool [L].
        is_untrained: Labels whose row it was not trained on, but predicted, bool [L].
    """

    record: ExampleRecord
    place: np.ndarray
    is_trained: np.ndarray
    is_untrained: np.ndarray

    @classmethod
    def of(cls, record: ExampleRecord, keys: np.ndarray) -> "_View":
        order = np.argsort(record.row, kind="stable")
        found = np.searchsorted(record.row[order], keys[:, 0]).clip(max=len(order) - 1)
        place = order[found]
        is_present = record.row[place] == keys[:, 0]
        is_same_label = (_keys(record)[place] == keys).all(axis=1)
        is_trained = is_present & record.is_trained[place] & is_same_label
        return cls(record, place, is_trained, is_present & ~record.is_trained[place])

    def of_trial(self, name: str) -> np.ndarray:
        values: np.ndarray = getattr(self.record, name)[self.place]
        return values

    def evidence(self, name: str) -> np.ndarray:
        """Return a mean over the trial's steps, NaN of labels that it did not train on."""
        return np.where(self.is_trained, self.record.evidence[name][self.place], np.nan)


def _probabilities(
    views: Sequence[_View], used: Sequence[np.ndarray], given: np.ndarray, *, is_regression: bool
) -> MeanProbabilities:
    if is_regression:
        unknown = np.full(len(given), np.nan)
        return MeanProbabilities(unknown, np.full(len(given), -1), unknown, unknown)
    classes = [
        np.where(use[:, None], view.of_trial("classes"), -1) for view, use in zip(views, used, strict=True)
    ]
    values = [view.of_trial("probabilities") * use[:, None] for view, use in zip(views, used, strict=True)]
    models = np.sum(used, axis=0)
    return mean_probabilities(np.concatenate(classes, axis=1), np.concatenate(values, axis=1), models, given)


def _mean(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over trials of what is not NaN; NaN where nothing is, [L]."""
    stacked = np.stack([each.astype(float) for each in values])
    known = ~np.isnan(stacked)
    totals, counts = np.where(known, stacked, 0).sum(axis=0), known.sum(axis=0)
    means: np.ndarray = np.divide(totals, counts, out=np.full(len(totals), np.nan), where=counts > 0)
    return means


def _ids(views: Sequence[_View], count: int) -> tuple[str, ...]:
    ids: list[str] = [""] * count
    for view in views:
        for label in np.flatnonzero(view.is_trained).tolist():
            ids[label] = view.record.ids[view.place[label]]
    return tuple(ids)


def _previews(views: Sequence[_View], name: str) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for view in views:
        held: dict[int, Any] = getattr(view.record, name)
        present = np.flatnonzero(view.is_trained | view.is_untrained)
        for label in present[np.isin(view.place[present], list(held))].tolist():
            found[label] = held[int(view.place[label])]
    return found
