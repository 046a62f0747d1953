"""Outcomes of test examples: the evidence of how much the choice of test examples matters.

Shape suffixes: N examples, B batch.
"""

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.data import ExampleSet
from l2rw_ray.events import ExampleOutcomes
from l2rw_ray.training.ranks import Ranks

MAX_EXAMPLES = 50_000
"""Largest test set whose examples are kept: 6 kB per trial, 200 kB of a regression. Of more examples the
choice hardly moves an accuracy: by 0.4 points at most in 19 of 20 test sets."""


class OutcomeRecorder:
    """Collects whether the class of each example was predicted, or by how much its target was missed.

    Args:
        examples: The set. Nothing is kept of one that is empty or has more than `MAX_EXAMPLES`.
        classes: Number of classes, if any.
    """

    def __init__(self, examples: ExampleSet, classes: int) -> None:
        self._std = None if examples.target_std is None else examples.target_std.double()
        self._classes, self._is_kept = classes, 0 < len(examples) <= MAX_EXAMPLES
        self._rows = examples.rows
        self._parts: list[tuple[Tensor, Tensor]] = []

    def add(self, output: Tensor, y_B: Tensor) -> None:
        """Count a batch; batches come in order of the set.

        Args:
            output: The model's output, [B, …].
            y_B: What `ExampleSet.take` returned.
        """
        if not self._is_kept:
            return
        if self._std is None:
            self._parts.append((y_B, output.argmax(dim=1) == y_B))
        else:
            errors_B = (output[:, 0].double() - y_B.double()) * self._std.to(output.device)
            self._parts.append((y_B, errors_B.float()))

    def gather(self, ranks: Ranks) -> ExampleOutcomes | None:
        """Return the outcomes of the examples of all ranks, which call this together; None if not kept."""
        if not self._is_kept:
            return None
        own = [(y_B.cpu(), found_B.cpu()) for y_B, found_B in self._parts]
        parts = [part for of_rank in ranks.gather(own) for part in of_rank]
        by_row_N = self._rows.cpu().argsort(stable=True)  # seeds may draw the same rows in another order
        found_N = torch.cat([found_B for _, found_B in parts])[by_row_N].numpy()
        if self._std is not None:
            return ExampleOutcomes(errors=found_N.astype("<f4").tobytes())
        y_N = torch.cat([y_B for y_B, _ in parts])[by_row_N]
        order_N = y_N.argsort(stable=True).numpy()
        counts = tuple(y_N.bincount(minlength=self._classes).tolist())
        return ExampleOutcomes(counts, np.packbits(found_N[order_N]).tobytes())
