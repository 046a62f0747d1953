"""Statistics of the weights of one epoch, over all ranks.

Shape suffixes: S steps of the epoch, N train examples, K of them that were visited, B batch.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from l2rw_ray.events import WEIGHT_EDGES, WeightHistogram
from l2rw_ray.training.determinism import preserved_rng_state
from l2rw_ray.training.ranks import Ranks
from l2rw_ray.training.step_statistics import room_for


@dataclass(frozen=True, slots=True)
class EpochWeights:
    """The weights of one epoch.

    Attributes:
        metrics: `mean_weight` (relative to 1/B), `effective_sample_size` ((Σw)²/Σw², examples),
            `zero_weight_fraction` and, where right and wrong labels are known, `corrupted_weight_share` (of
            the weight of the examples of which either is known) and `corrupted_auroc`: the probability that a
            corrupted example has a smaller weight than a clean one.
        effective_S: Effective sample size of each step, NaN where no weights were computed or none is
            positive.
        histogram: Mean relative weights of the examples that were visited.
    """

    metrics: dict[str, float]
    effective_S: Tensor
    histogram: WeightHistogram


class WeightStatistics:
    """Collects one epoch's weights without waiting for the device.

    Args:
        corrupted_N: Which train examples are known to carry a wrong label.
        steps: Steps to have room for at first.
        device: Where the weights are.
        unverified_N: Of which neither that nor the opposite is known; None where one is of all.
    """

    def __init__(
        self, corrupted_N: Tensor, steps: int, device: torch.device, unverified_N: Tensor | None = None
    ) -> None:
        self._corrupted_N = corrupted_N.to(device)
        self._unverified_N = None if unverified_N is None else unverified_N.to(device)
        self._relative_N = torch.zeros(len(corrupted_N), dtype=torch.float64, device=device)
        self._seen_N = torch.zeros_like(self._relative_N)
        # per step, summed over ranks: magnitude, squares, zeros, magnitude of the corrupted and of the known
        self._sums_S5 = torch.zeros(steps, 5, dtype=torch.float64, device=device)
        self._is_new_S = torch.zeros(steps, dtype=torch.bool)

    def add(
        self, step: int, weights_B: Tensor, index_B: Tensor, global_size: int, *, is_new: bool = True
    ) -> None:
        """Count the weights of one step.

        Args:
            step: Position within the epoch.
            weights_B: This rank's weights.
            index_B: The examples they belong to.
            global_size: Examples in the global batch.
            is_new: Whether they were computed at this step; metrics per step count such steps alone.
        """
        weights_B = weights_B.detach().double()
        wrong_B, total = self._corrupted_N[index_B], weights_B.abs().sum()
        known = total
        if self._unverified_N is not None:
            known = total - (weights_B * self._unverified_N[index_B]).abs().sum()
        sums = (
            total,
            weights_B.square().sum(),
            (weights_B == 0).sum(),
            (weights_B * wrong_B).abs().sum(),
            known,
        )
        if is_new:
            self._sums_S5, self._is_new_S = room_for(self._sums_S5, step), room_for(self._is_new_S, step)
            self._sums_S5[step] = torch.stack([value.double() for value in sums])
            self._is_new_S[step] = True
        self._relative_N.index_add_(0, index_B, weights_B * global_size)
        self._seen_N.index_add_(0, index_B, torch.ones_like(weights_B))

    def summarise(self, global_sizes_S: Tensor, ranks: Ranks) -> EpochWeights:
        """Average over the steps that computed weights, one of them positive, and per example over the epoch.

        Args:
            global_sizes_S: Examples in each step's global batch.
            ranks: The trial's workers.
        """
        count = len(global_sizes_S)
        self._sums_S5, self._is_new_S = (
            room_for(self._sums_S5, count - 1),
            room_for(self._is_new_S, count - 1),
        )
        sums_S5, is_new_S = ranks.sum(self._sums_S5[:count]).cpu(), self._is_new_S[:count]
        times_N, relative_N = ranks.sum(self._seen_N).cpu(), ranks.sum(self._relative_N).cpu()
        seen_N = times_N > 0
        relative_K, (corrupted_K, clean_K, unverified_K) = (relative_N / times_N)[seen_N], self._kinds(seen_N)
        total_S, squares_S, zeros_S, wrong_S, known_S = sums_S5.unbind(dim=1)
        used = squares_S > 0
        summary = {}
        if is_new_S.any():
            summary["zero_weight_fraction"] = (zeros_S.sum() / global_sizes_S[is_new_S].sum()).item()
        effective_S = total_S.square() / squares_S  # NaN of steps that computed nothing
        if used.any():
            summary["mean_weight"] = total_S[used].mean().item()
            summary["effective_sample_size"] = effective_S[used].mean().item()
        if corrupted_K.any() and clean_K.any():
            if known_S.any():
                summary["corrupted_weight_share"] = (wrong_S.sum() / known_S.sum()).item()
            summary["corrupted_auroc"] = _auroc(relative_K, corrupted_K, clean_K)
        histogram = WeightHistogram(_counts(relative_K[clean_K]), _counts(relative_K[corrupted_K]))
        if self._unverified_N is not None:
            histogram = replace(histogram, unverified=_counts(relative_K[unverified_K]))
        return EpochWeights(summary, effective_S, histogram)

    def _kinds(self, seen_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return which examples are known to be wrong, known to be right, and neither, bool [K] each."""
        wrong_K = self._corrupted_N.cpu()[seen_N]
        if self._unverified_N is None:
            return wrong_K, ~wrong_K, torch.zeros_like(wrong_K)
        unverified_K = self._unverified_N.cpu()[seen_N]
        return wrong_K, ~(wrong_K | unverified_K), unverified_K


def _auroc(relative_K: Tensor, corrupted_K: Tensor, clean_K: Tensor) -> float:
    """Return the probability that a corrupted example weighs less than a clean one; ties count half."""
    with preserved_rng_state():
        from sklearn.metrics import roc_auc_score
    known_K = corrupted_K | clean_K
    return float(roc_auc_score(corrupted_K[known_K].numpy(), -relative_K[known_K].numpy()))


def _counts(relative_N: Tensor) -> tuple[int, ...]:
    """Return the number of examples per bin of `WEIGHT_EDGES`."""
    edges = torch.tensor(WEIGHT_EDGES, dtype=relative_N.dtype)
    return tuple(torch.bucketize(relative_N, edges).bincount(minlength=len(edges) + 1).tolist())
