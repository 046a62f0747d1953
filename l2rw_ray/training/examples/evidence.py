"""Weight, loss and score of each train example, averaged over the later half of training.

Shape suffixes: N train examples, B batch of this rank.
"""

from typing import Any

import torch
from torch import Tensor

from l2rw_ray.data import Batch
from l2rw_ray.methods import StepOutcome
from l2rw_ray.training.ranks import Ranks

_SUMS = ("weight", "zeros", "weighings", "loss", "losses", "score", "scores")
"""What is summed up per example: three quantities, each followed by how often it was counted."""
_PLACE = {name: place for place, name in enumerate(_SUMS)}


class ExampleEvidence:
    """Sums up weights, losses and scores per train example, without waiting for the device.

    Only the later half of the epochs counts: early on, a network fits wrong labels as badly as rare ones.
    An example that a method leaves out of an epoch whose examples it chooses, as filters do, counts as
    weighed once with zero.

    Args:
        count: Examples in the train set.
        epochs: Epochs of the whole trial.
        device: Where losses and weights are.
    """

    def __init__(self, count: int, epochs: int, device: torch.device) -> None:
        self._epochs = epochs
        self._total_7N = torch.zeros(len(_SUMS), count, device=device)
        self._epoch_7N = torch.zeros_like(self._total_7N)
        self._own_7N = torch.zeros_like(self._total_7N)

    def add(self, epoch: int, batch: Batch, outcome: StepOutcome) -> None:
        """Count a step on the train set.

        Args:
            epoch: Epochs before this one.
            batch: This rank's share of the batch.
            outcome: Result of the step.
        """
        if not self._counts(epoch) or not outcome.is_on_batch:
            return
        weights_B = outcome.weights_B
        relative_B = torch.ones_like(batch.index) if weights_B is None else weights_B * batch.global_size
        self._sum("weight", batch.index, relative_B)
        self._sum("zeros", batch.index, relative_B == 0)
        self._sum("weighings", batch.index, torch.ones_like(batch.index))
        for name, values_B in (("loss", outcome.losses_B), ("score", outcome.scores_B)):
            if values_B is not None:
                self._sum(name, batch.index, values_B)
                self._sum(_SUMS[_PLACE[name] + 1], batch.index, torch.ones_like(batch.index))

    def gather(self, ranks: Ranks) -> None:
        """Add up what the ranks counted, before an evaluation within an epoch; every rank calls this."""
        self._epoch_7N += ranks.sum(self._own_7N)
        self._own_7N.zero_()

    def end_epoch(self, epoch: int, ranks: Ranks, *, is_chosen: bool) -> None:
        """Add an epoch's sums over all ranks to the total; every rank calls this.

        Args:
            epoch: Epochs before this one.
            ranks: The trial's workers.
            is_chosen: Whether the method chose which train examples the epoch visits.
        """
        if not self._counts(epoch):
            return
        self.gather(ranks)
        epoch_7N = self._epoch_7N
        if is_chosen:
            left_out_N = epoch_7N[_PLACE["weighings"]] == 0
            epoch_7N[_PLACE["zeros"]] += left_out_N
            epoch_7N[_PLACE["weighings"]] += left_out_N
        self._total_7N += epoch_7N
        self._epoch_7N.zero_()

    def summarise(self) -> dict[str, Tensor]:
        """Return means per example, float32 [N] on the CPU, NaN where nothing was counted.

        Returns:
            `weight`: mean weight relative to 1/B. `zero_fraction`: share of the times it was zero. `loss`:
            mean loss of the given label. `score`: mean score.
        """
        total = dict(zip(_SUMS, self._total_7N.cpu(), strict=True))
        return {
            "weight": total["weight"] / total["weighings"],
            "zero_fraction": total["zeros"] / total["weighings"],
            "loss": total["loss"] / total["losses"],
            "score": total["score"] / total["scores"],
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of the epochs that have ended, and of the one under way, equal on all ranks."""
        return {"sums": self._total_7N, "epoch_sums": self._epoch_7N}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self._total_7N.copy_(state["sums"])
        self._own_7N.zero_()
        self._epoch_7N.zero_()
        if "epoch_sums" in state:  # not in that of an earlier release
            self._epoch_7N.copy_(state["epoch_sums"])

    def _counts(self, epoch: int) -> bool:
        return 2 * (epoch + 1) > self._epochs

    def _sum(self, name: str, index_B: Tensor, values_B: Tensor) -> None:
        sums_N = self._own_7N[_PLACE[name]]
        sums_N.index_add_(0, index_B, values_B.detach().to(sums_N))
