"""Metrics that tell whether weights are healthy, and warnings when they are not.

Shape suffixes: B train batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_SKIPPED_LIMIT = 0.1
_EFFECTIVE_LIMIT = 0.05
_COSINE_LIMIT = 0.1


def effective_sample_size(weights_B: Tensor) -> Tensor:
    """Compute (Σ|w|)²/Σw² in examples: B for equal weights, 1 when one example has all, 0 for zeros."""
    squares = weights_B.square().sum()
    return torch.where(squares > 0, weights_B.abs().sum().square() / squares, torch.zeros_like(squares))


def zero_weight_fraction(weights_B: Tensor) -> Tensor:
    """Compute the fraction of examples whose weight is exactly zero."""
    return (weights_B == 0).double().mean()


def weight_share(weights_B: Tensor, chosen_B: Tensor) -> Tensor:
    """Compute the fraction of the weight's magnitude on some examples, such as the corrupted; 0 of none."""
    total = weights_B.abs().sum()
    return torch.where(total > 0, (weights_B * chosen_B).abs().sum() / total, torch.zeros_like(total))


@dataclass(frozen=True)
class FailureSignature:
    """A sign that reweighting is not doing what it should.

    Attributes:
        name: `skipped_steps`, `few_examples`, `restless_direction` or `trusted_corruption`.
        message: What was measured, what it points to and what to do.
    """

    name: str
    message: str


@dataclass(frozen=True)
class WeightHealth:
    """Means over the steps of an epoch, or of some window, that computed weights.

    Attributes:
        skipped_fraction: Steps of all on which no weight was positive.
        effective_fraction: Effective sample size relative to the batch.
        direction_cosine: Cosine of successive directions; None where there is none.
        corrupted_weight_share: Weight of the examples known to be corrupted; None where none is known.
        corrupted_fraction: Their share of the examples.
    """

    skipped_fraction: float
    effective_fraction: float
    direction_cosine: float | None = None
    corrupted_weight_share: float | None = None
    corrupted_fraction: float | None = None


def failure_signatures(health: WeightHealth) -> list[FailureSignature]:
    """Return what looks wrong, and what to do about it.

    The limits are far from what healthy runs show (an effective fraction of 0.2 to 0.5, cosines above
    0.5 with the whole meta set at every step).
    """
    found = []
    if health.skipped_fraction > _SKIPPED_LIMIT:
        found.append(
            FailureSignature(
                "skipped_steps",
                f"no example had a positive weight on {health.skipped_fraction:.0%} of the steps: "
                "clean or balance the meta set, or lower the learning rate",
            )
        )
    if 0 < health.effective_fraction < _EFFECTIVE_LIMIT:
        found.append(
            FailureSignature(
                "few_examples",
                f"{health.effective_fraction:.1%} of a batch carry the step: "
                "lower the learning rate, or take larger batches",
            )
        )
    cosine = health.direction_cosine
    if cosine is not None and cosine < _COSINE_LIMIT:
        found.append(
            FailureSignature(
                "restless_direction",
                f"successive directions have a cosine of {cosine:.2f}: "
                "take a larger meta set or meta batch, or lower the learning rate",
            )
        )
    share, fraction = health.corrupted_weight_share, health.corrupted_fraction
    if share is not None and fraction is not None and share >= fraction > 0:
        found.append(
            FailureSignature(
                "trusted_corruption",
                f"corrupted examples are {fraction:.0%} of the batch and have {share:.0%} of the weight: "
                "check the labels and the balance of the meta set",
            )
        )
    return found


class HealthMonitor:
    """Watches the weights of successive steps, and tells each failure signature once.

    Metrics are added up on the device; it is waited for once in a window. With several ranks each
    watches its own share of the batches.

    Args:
        window: Steps that compute weights, over which metrics are averaged.
    """

    def __init__(self, window: int = 100) -> None:
        self._window = window
        self._steps = self._skipped = self._cosines = 0
        self._effective: Tensor | float = 0.0
        self._cosine: Tensor | float = 0.0
        self.found: list[FailureSignature] = []

    @torch.no_grad()
    def observe(
        self, weights_B: Tensor, *, skipped: bool, direction_cosine: Tensor | None
    ) -> list[FailureSignature]:
        """Take note of a step that computed weights.

        Args:
            weights_B: Its weights, of this rank's examples.
            skipped: Whether all of the global batch's are zero.
            direction_cosine: Cosine of its direction with the one before; None where there is none.

        Returns:
            Signatures seen for the first time.
        """
        self._steps += 1
        self._skipped += skipped
        if not skipped:
            self._effective = self._effective + effective_sample_size(weights_B) / max(len(weights_B), 1)
        if direction_cosine is not None:
            self._cosines += 1
            self._cosine = self._cosine + direction_cosine
        return self._conclude() if self._steps == self._window else []

    def _conclude(self) -> list[FailureSignature]:
        updated = self._steps - self._skipped
        health = WeightHealth(
            skipped_fraction=self._skipped / self._steps,
            effective_fraction=float(self._effective) / updated if updated else 0.0,
            direction_cosine=float(self._cosine) / self._cosines if self._cosines else None,
        )
        self._steps = self._skipped = self._cosines = 0
        self._effective = self._cosine = 0.0
        known = {signature.name for signature in self.found}
        news = [signature for signature in failure_signatures(health) if signature.name not in known]
        self.found += news
        return news
