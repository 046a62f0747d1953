"""What the steps between two evaluations add up to: metrics, a histogram of weights and a series.

Shape suffixes: S steps of the epoch, N train examples.
"""

from dataclasses import dataclass

import torch

from l2rw_ray.data import Batch, ExampleSet
from l2rw_ray.events import StepSeries, WeightHistogram
from l2rw_ray.methods import StepOutcome
from l2rw_ray.training.loop.step_series import step_series
from l2rw_ray.training.ranks import Ranks
from l2rw_ray.training.step_statistics import StepStatistics, room_for
from l2rw_ray.training.weight_statistics import WeightStatistics


@dataclass(frozen=True, slots=True)
class EpochSummary:
    """What the steps of one epoch add up to.

    Attributes:
        metrics: Those of `EpochLosses` and, with weights, of `EpochWeights`.
        weights: The examples' weights; None for an epoch without.
        series: The steps.
    """

    metrics: dict[str, float]
    weights: WeightHistogram | None
    series: StepSeries


class EpochStatistics:
    """Collects the steps of one epoch without waiting for the device.

    Args:
        train: The train set, which says which labels are known to be right or wrong.
        steps: Steps to have room for at first.
        first: Steps of the trial before this epoch.
        device: Where the losses and weights are.
    """

    def __init__(self, train: ExampleSet, steps: int, first: int, device: torch.device) -> None:
        self._losses = StepStatistics(steps, first, device)
        self._weights = WeightStatistics(train.corrupted, steps, device, train.unverified)
        self._sizes_S = torch.zeros(steps, dtype=torch.float64)
        self._first, self._count, self._is_weighted = first, 0, False

    def add(self, step: int, batch: Batch, outcome: StepOutcome, *, is_train: bool) -> None:
        """Count a step.

        Args:
            step: Position among these steps, from 0, without gaps.
            batch: This rank's share of the batch.
            outcome: Result of the step.
            is_train: Whether the batch is of the train set; weights of other examples do not count.
        """
        self._losses.add(step, outcome)
        self._sizes_S, self._count = room_for(self._sizes_S, step), step + 1
        self._sizes_S[step] = batch.global_size
        if outcome.weights_B is not None and is_train:
            self._is_weighted, is_new = True, outcome.has_new_weights
            self._weights.add(step, outcome.weights_B, batch.index, batch.global_size, is_new=is_new)

    def summarise(self, ranks: Ranks, evaluations: int) -> EpochSummary:
        """Return what the steps add up to over all ranks; every rank calls this, once.

        Args:
            ranks: The trial's workers.
            evaluations: About how many such summaries the trial has.

        Raises:
            NonFiniteError: A loss is NaN or infinite.
        """
        losses = self._losses.summarise(ranks, weighted=self._is_weighted)
        if not self._is_weighted:
            series = step_series(losses.loss_S, None, self._first, evaluations)
            return EpochSummary(losses.metrics, None, series)
        weights = self._weights.summarise(self._sizes_S[: self._count], ranks)
        series = step_series(losses.loss_S, weights.effective_S, self._first, evaluations)
        return EpochSummary(losses.metrics | weights.metrics, weights.histogram, series)
