"""Mean probabilities over models of which each kept only its most probable classes.

Shape suffixes: L labels, M classes that were kept by any model, side by side.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MeanProbabilities:
    """Means over the models that predicted each label.

    Attributes:
        given: Of the given class, float [L].
        preferred: Class with the largest mean, int64 [L].
        preferred_probability: That mean, float [L].
        other: Largest mean of any class but the given one, float [L].
    """

    given: np.ndarray
    preferred: np.ndarray
    preferred_probability: np.ndarray
    other: np.ndarray


def mean_probabilities(
    classes_LM: np.ndarray, values_LM: np.ndarray, models_L: np.ndarray, given_L: np.ndarray
) -> MeanProbabilities:
    """Average probabilities by class; a class that a model did not keep counts as 0 there.

    Args:
        classes_LM: Classes kept, those of all models beside each other; −1 for a model that does not count.
        values_LM: Their probabilities; 0 for a model that does not count.
        models_L: Number of models that count, at least 1.
        given_L: The class that each label gives.
    """
    order_LM = np.argsort(classes_LM, axis=1, kind="stable")
    classes_LM = np.take_along_axis(classes_LM, order_LM, axis=1).astype(np.int64)
    sums_LM = np.take_along_axis(values_LM, order_LM, axis=1).astype(float).cumsum(axis=1)
    is_last_LM = np.ones_like(classes_LM, dtype=bool)
    is_last_LM[:, :-1] = classes_LM[:, 1:] != classes_LM[:, :-1]
    before_LM = np.zeros_like(sums_LM)
    before_LM[:, 1:] = np.maximum.accumulate(np.where(is_last_LM, sums_LM, 0.0), axis=1)[:, :-1]
    means_LM = np.where(is_last_LM & (classes_LM >= 0), sums_LM - before_LM, 0.0) / models_L[:, None]
    is_given_LM = classes_LM == given_L[:, None]
    best_L = means_LM.argmax(axis=1)[:, None]
    return MeanProbabilities(
        given=(means_LM * is_given_LM).sum(axis=1),
        preferred=np.take_along_axis(classes_LM, best_L, axis=1)[:, 0],
        preferred_probability=np.take_along_axis(means_LM, best_L, axis=1)[:, 0],
        other=np.where(is_given_LM, 0.0, means_LM).max(axis=1),
    )
