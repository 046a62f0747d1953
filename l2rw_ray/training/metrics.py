"""Metrics of evaluations, added up batch by batch and over ranks.

Shape suffixes: N examples, B batch, C classes.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from l2rw_ray.data import ExampleSet
from l2rw_ray.training.ranks import Ranks


class MetricSums(Protocol):
    """Sums over the examples that a rank has evaluated."""

    def add(self, output: Tensor, y_B: Tensor) -> None:
        """Count a batch.

        Args:
            output: The model's output, [B, …].
            y_B: What `ExampleSet.take` returned.
        """

    def summarise(self, ranks: Ranks) -> dict[str, float]:
        """Return the metrics by name; every rank calls this, once."""

    @property
    def confusion(self) -> Tensor | None:
        """Examples by true and predicted class, [C, C], over all ranks after `summarise`; or None."""


def metrics_for(examples: ExampleSet, classes: int, device: torch.device) -> MetricSums:
    """Return the sums for the metrics of a set's task.

    Args:
        examples: The set.
        classes: Number of classes, if any.
        device: Where outputs are.
    """
    return (
        ClassificationMetrics(classes, device)
        if examples.targets is None
        else RegressionMetrics(examples, device)
    )


class ClassificationMetrics:
    """`accuracy`, `balanced_accuracy` and `worst_class_accuracy`, as fractions.

    Balanced accuracy is the mean recall over the classes that occur, as in scikit-learn's
    `balanced_accuracy_score`.
    """

    def __init__(self, classes: int, device: torch.device) -> None:
        self._confusion_CC = torch.zeros(classes, classes, dtype=torch.int64, device=device)

    def add(self, output: Tensor, y_B: Tensor) -> None:
        """Count a batch of logits [B, C]."""
        classes = len(self._confusion_CC)
        pairs = y_B * classes + output.argmax(dim=1)
        self._confusion_CC += pairs.bincount(minlength=classes * classes).view(classes, classes)

    def summarise(self, ranks: Ranks) -> dict[str, float]:
        """Return the three metrics."""
        counts_CC = ranks.sum(self._confusion_CC).double()
        recall_C = (counts_CC.diagonal() / counts_CC.sum(dim=1))[counts_CC.sum(dim=1) > 0]
        return {
            "accuracy": (counts_CC.trace() / counts_CC.sum()).item(),
            "balanced_accuracy": recall_C.mean().item(),
            "worst_class_accuracy": recall_C.min().item(),
        }

    @property
    def confusion(self) -> Tensor:
        """True by predicted class, int64 [C, C]."""
        return self._confusion_CC


class RegressionMetrics:
    """`rmse` and `mae` in the target's own unit, and `r2`, of the first output.

    For equal targets `r2` is that of scikit-learn's `r2_score`: 1 where all predictions are exact, else 0.
    """

    def __init__(self, examples: ExampleSet, device: torch.device) -> None:
        assert examples.targets is not None
        assert examples.target_std is not None
        self._count, self._std = len(examples), examples.target_std.double().item()
        wide_N = examples.targets.double()
        self._spread = (wide_N - wide_N.mean()).square().sum().item()
        self._sums_2 = torch.zeros(2, dtype=torch.float64, device=device)  # of squares, of magnitudes

    def add(self, output: Tensor, y_B: Tensor) -> None:
        """Count a batch of outputs [B, …] whose first is the prediction."""
        error_B = (output[:, 0].double() - y_B.double()) * self._std
        self._sums_2 += torch.stack([error_B.square().sum(), error_B.abs().sum()])

    def summarise(self, ranks: Ranks) -> dict[str, float]:
        """Return the three metrics."""
        squares, magnitudes = ranks.sum(self._sums_2).tolist()
        explained = 1 - squares / self._spread if self._spread else float(squares == 0)
        return {
            "rmse": math.sqrt(squares / self._count),
            "mae": magnitudes / self._count,
            "r2": explained,
        }

    @property
    def confusion(self) -> None:
        """Targets have no classes."""
        return None
