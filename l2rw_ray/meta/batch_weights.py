"""The weights of a batch over all ranks, and what is kept of its scores for later batches.

Shape suffixes: B train batch of this rank.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from l2rw_ray.errors import InputError
from l2rw_ray.meta.example_table import ExampleTable, checked_positions
from l2rw_ray.meta.replicas import BatchTotals, Replicas
from l2rw_ray.meta.weights import Clip, Normalise, checked_rule, clipped, magnitude_of, normalised


@dataclass(frozen=True)
class SummedScores:
    """The scores of a batch before they are made weights.

    Attributes:
        scores: Those of this rank, a moving average of each example where momentum is on, [B].
        clipped: The same, with negative ones treated, [B].
        totals: Sums over the global batch.
        total: Sum of the clipped scores' magnitudes; not finite where a score or the meta loss is not.
    """

    scores: Tensor
    clipped: Tensor
    totals: BatchTotals
    total: float

    @property
    def sizes(self) -> list[int]:
        """Examples on each rank."""
        return [int(size) for size in self.totals.sizes.tolist()]

    @property
    def is_unchecked(self) -> bool:
        """Whether a rank's scores await a check."""
        return bool(self.totals.unchecked)


class BatchWeights:
    """Makes scores into weights, and keeps weights and scores by example.

    All ranks call each method together.

    Args:
        clip: How negative scores are treated.
        normalise: What weights add up to.
        holds: Whether an example keeps its last weight relative to uniform, for batches that are not scored.
        score_momentum: β of the moving average of an example's scores; 0 for none.
        table_size: Examples in the data set, or 0.
        replicas: The ranks that share a batch.

    Raises:
        InputError: An option is unknown or out of its range.
    """

    def __init__(
        self,
        clip: Clip,
        normalise: Normalise,
        *,
        holds: bool,
        score_momentum: float,
        table_size: int,
        replicas: Replicas,
    ) -> None:
        if not isinstance(score_momentum, int | float) or not 0 <= score_momentum < 1:
            raise InputError("score_momentum", score_momentum, "out of range", "use 0 to below 1")
        if not isinstance(table_size, int) or table_size < 0:
            problem, remedy = "no number of examples", "use 0, or that of the data set"
            raise InputError("table_size", table_size, problem, remedy)
        self._clip, self._normalise = checked_rule(clip, normalise)
        self._momentum, self._replicas = score_momentum, replicas
        self._held = ExampleTable(table_size, 1.0, replicas) if holds else None
        self._smoothed = ExampleTable(table_size, math.nan, replicas) if score_momentum else None

    def checked_positions(self, index_B: Tensor | None, count: int) -> Tensor | None:
        """Check and return the positions of a batch's examples, where something is kept by example.

        Raises:
            InputError: They are missing or unusable.
        """
        if self._held is None and self._smoothed is None:
            return index_B
        return checked_positions(index_B, count, "weights and scores are kept by example")

    @torch.no_grad()
    def summed(
        self, scores_B: Tensor, meta_loss: Tensor, index_B: Tensor | None, *, is_unchecked: bool
    ) -> SummedScores:
        """Average and clip scores, and sum them over ranks; nothing is kept yet.

        Args:
            scores_B: Scores of this rank's examples.
            meta_loss: Mean meta loss over all ranks, a scalar.
            index_B: Positions of the examples in the data set.
            is_unchecked: Whether the scores await a check.
        """
        if self._smoothed is not None and index_B is not None:
            known = self._smoothed.read(index_B).to(scores_B)
            mixed_B = self._momentum * known + (1 - self._momentum) * scores_B
            scores_B = torch.where(known.isnan(), scores_B, mixed_B)
        clipped_B = clipped(scores_B, self._clip)
        # clipping would hide a score of −∞, and a broken meta loss need not show in the scores
        poison = 0.0 * (scores_B.sum(dtype=torch.promote_types(scores_B.dtype, torch.float32)) + meta_loss)
        totals = self._replicas.batch_totals(
            magnitude_of(clipped_B) + poison, len(clipped_B), is_unchecked=is_unchecked
        )
        return SummedScores(scores_B, clipped_B, totals, totals.weight.item())

    @torch.no_grad()
    def of_scores(self, summed: SummedScores, index_B: Tensor | None) -> Tensor:
        """Return the weights [B] of a scored batch, and keep what later ones need."""
        if index_B is not None and (self._smoothed is not None or self._held is not None):
            sizes = summed.sizes
            if self._smoothed is not None:
                self._smoothed.write(index_B, summed.scores, sizes)
            if self._held is not None:
                relative_B = normalised(summed.clipped, summed.totals, "mean_one")
                self._held.write(index_B, relative_B, sizes)
        return normalised(summed.clipped, summed.totals, self._normalise)

    @torch.no_grad()
    def between(self, size: int, index_B: Tensor | None) -> tuple[Tensor, float]:
        """Return held or uniform weights [B] of a batch that is not scored, and their sum over all ranks."""
        relative_B = next(self._replicas.module.parameters()).new_ones(size)
        if self._held is not None and index_B is not None:
            relative_B = self._held.read(index_B).to(relative_B)
        totals = self._replicas.batch_totals(magnitude_of(relative_B), size)
        rule: Normalise = "mean_one" if self._normalise == "mean_one" else "batch_sum"
        return normalised(relative_B, totals, rule), totals.weight.item()

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept by example, under the keys of what there is."""
        return {name: table.state() for name, table in self._tables().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; other keys are left alone.

        Raises:
            InputError: It was taken with other options.
        """
        tables, kept = self._tables(), {"held", "smoothed"} & set(state)
        if differing := sorted(tables.keys() ^ kept):
            problem = f"{differing[0]!r} is {'missing' if differing[0] in tables else 'not kept'}"
            remedy = "give the step the options of the one whose state this is"
            raise InputError("state_dict", sorted(kept), problem, remedy)
        for name, table in tables.items():
            table.load(state[name])

    def _tables(self) -> dict[str, ExampleTable]:
        tables = {"held": self._held, "smoothed": self._smoothed}
        return {name: table for name, table in tables.items() if table is not None}
