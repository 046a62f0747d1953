"""What a trained model predicts for each example of a set.

Shape suffixes: N examples, B batch, C classes, K most probable classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from l2rw_ray.data import ExampleSet, ReadParts, read_here, whole_pass
from l2rw_ray.errors import NonFiniteError
from l2rw_ray.methods.precision import at_least_float32
from l2rw_ray.training.ranks import Ranks, device_of, unwrapped
from l2rw_ray.trees import map_tensors

MAX_KEPT_CLASSES = 10
"""Most classes per example whose probabilities are kept: 60 bytes, however many classes there are."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions of one model for the examples of a set, in the set's order.

    Attributes:
        classes_NK: The most probable classes, int16, most probable first; K is 0 for a regression.
        probabilities_NK: Their probabilities, float32.
        values_N: Predicted targets in original units, float32; NaN for classes.
    """

    classes_NK: np.ndarray
    probabilities_NK: np.ndarray
    values_N: np.ndarray

    @classmethod
    def of(cls, outputs: Tensor, examples: ExampleSet) -> Self:
        """Return the predictions that a model's outputs for some examples are.

        Args:
            outputs: Logits [B, C], or outputs [B, …] of a regression.
            examples: The set, for the scale of its targets.
        """
        if examples.target_mean is None or examples.target_std is None:
            probabilities_BC = outputs.double().softmax(dim=1)
            top = probabilities_BC.topk(min(MAX_KEPT_CLASSES, outputs.shape[1]), dim=1)
            unknown_B = np.full(len(outputs), np.nan, dtype=np.float32)
            return cls(top.indices.short().cpu().numpy(), top.values.float().cpu().numpy(), unknown_B)
        values_B = outputs[:, 0].cpu() * examples.target_std.cpu() + examples.target_mean.cpu()
        none = np.empty((len(outputs), 0))
        return cls(none.astype(np.int16), none.astype(np.float32), values_B.float().numpy())

    @classmethod
    def joined(cls, parts: Sequence[Self], order_N: np.ndarray) -> Self:
        """Return the predictions of several batches in another order."""
        names = cls.__slots__
        return cls(*(np.concatenate([getattr(part, name) for part in parts])[order_N] for name in names))


@torch.no_grad()
def predict(
    model: nn.Module, examples: ExampleSet, ranks: Ranks, step: int, read_parts: ReadParts = read_here
) -> Predictions:
    """Return the predictions of a model for a set, equal on all ranks, which call this together.

    Args:
        model: Network, wrapped or not; evaluated in eval mode and returned to train mode.
        examples: The set, not empty, on any device; it may be streamed. Each rank evaluates a share.
        ranks: The trial's workers.
        step: Steps made so far, for the error message.
        read_parts: Reads the images of a streamed set.

    Raises:
        NonFiniteError: An output is NaN or infinite.
    """
    network, device = unwrapped(model), device_of(model)
    share = torch.arange(len(examples))[ranks.share(len(examples))]
    found: list[tuple[Tensor, Predictions]] = []
    network.eval()
    try:
        for index_B, inputs in whole_pass(examples, share, read_parts):
            x = map_tensors(examples.scaled(inputs), lambda tensor: tensor.to(device))
            outputs = at_least_float32(network(x))
            if not outputs.isfinite().all():
                raise NonFiniteError(step, "outputs")
            found.append((index_B, Predictions.of(outputs, examples)))
    finally:
        network.train()
    parts = [part for of_rank in ranks.gather(found) for part in of_rank]
    order_N = torch.cat([index_B for index_B, _ in parts]).argsort().numpy()
    return Predictions.joined([predictions for _, predictions in parts], order_N)
