"""Losses of the steps of one epoch, over all ranks.

Shape suffixes: S steps of the epoch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from l2rw_ray.errors import NonFiniteError
from l2rw_ray.methods import StepOutcome
from l2rw_ray.training.ranks import Ranks


@dataclass(frozen=True, slots=True)
class EpochLosses:
    """Losses of the steps of one epoch.

    Attributes:
        metrics: `train_loss`, and with weights `weighted_train_loss`, `skipped_fraction` and
            `direction_cosine`, as `EpochCompleted` defines them, each where there is one.
        loss_S: Mean loss without weights of each step, NaN where none was evaluated.
    """

    metrics: dict[str, float]
    loss_S: Tensor


def room_for(tensor_S: Tensor, step: int, fill: float = 0.0) -> Tensor:
    """Return a tensor [S, …] with a row for a step: itself, or one of twice as many rows."""
    rows = len(tensor_S)
    if step < rows:
        return tensor_S
    return torch.cat([tensor_S, tensor_S.new_full((max(rows, step + 1 - rows), *tensor_S.shape[1:]), fill)])


class StepStatistics:
    """Collects the losses between two evaluations without waiting for the device.

    Args:
        steps: Steps to have room for at first.
        first: Steps of the trial before these.
        device: Where the losses are.
    """

    def __init__(self, steps: int, first: int, device: torch.device) -> None:
        self._first, self._count = first, 0
        # per step: loss and number of the examples evaluated, weighted loss
        self._sums_S3 = torch.zeros(steps, 3, dtype=torch.float64, device=device)
        self._cosine_S = torch.full((steps,), torch.nan, dtype=torch.float64, device=device)
        self._skipped_S = torch.zeros(steps, dtype=torch.bool)
        self._scored_S = torch.zeros(steps, dtype=torch.bool)

    def add(self, step: int, outcome: StepOutcome) -> None:
        """Count one step, by its position among these."""
        self._count = step + 1
        self._sums_S3, self._cosine_S = (
            room_for(self._sums_S3, step),
            room_for(self._cosine_S, step, torch.nan),
        )
        self._skipped_S, self._scored_S = room_for(self._skipped_S, step), room_for(self._scored_S, step)
        if outcome.losses_B is not None:
            self._sums_S3[step, 0] = outcome.losses_B.double().sum()
            self._sums_S3[step, 1] = len(outcome.losses_B)
        self._sums_S3[step, 2] = outcome.loss
        self._skipped_S[step], self._scored_S[step] = outcome.skipped, outcome.has_new_weights
        if outcome.direction_cosine is not None:
            self._cosine_S[step] = outcome.direction_cosine

    def summarise(self, ranks: Ranks, *, weighted: bool) -> EpochLosses:
        """Return the epoch's metrics; every rank calls this, once.

        Args:
            ranks: The trial's workers.
            weighted: Whether the method has weights.

        Raises:
            NonFiniteError: A loss is NaN or infinite.
        """
        count = self._count
        sums_S3 = ranks.sum(self._sums_S3[:count]).cpu()
        scored_S, skipped_S = self._scored_S[:count], self._skipped_S[:count]
        broken = (~sums_S3.isfinite().all(dim=1)).nonzero()
        if len(broken):
            raise NonFiniteError(self._first + int(broken[0]), "train_loss")
        loss, examples, _ = sums_S3.sum(dim=0).tolist()
        summary = {"train_loss": loss / examples} if examples else {}
        if weighted:
            if scored_S.any():
                summary["skipped_fraction"] = skipped_S[scored_S].double().mean().item()
            if not skipped_S.all():
                summary["weighted_train_loss"] = sums_S3[~skipped_S, 2].mean().item()
            cosine_S = self._cosine_S[~self._cosine_S.isnan()]
            if len(cosine_S):
                summary["direction_cosine"] = cosine_S.mean().item()
        return EpochLosses(summary, sums_S3[:, 0] / sums_S3[:, 1])
