"""A set of examples in memory, ready to be batched."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class ExampleSet:
    """Examples kept as they were decoded and scaled when a batch is taken.

    Shape suffixes: N examples, B batch, F features.

    Attributes:
        inputs: Images as uint8 [N, C, H, W], or features as float32 [N, F].
        labels: Class indices, int64 [N].
        corrupted: Which labels were corrupted on purpose, bool [N].
        rows: Row of each example in its source, int64 [N].
        mean: What is subtracted from features, [F]; None for images.
        std: What features are divided by, [F]; None for images.
    """

    inputs: Tensor
    labels: Tensor
    corrupted: Tensor
    rows: Tensor
    mean: Tensor | None = None
    std: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.inputs.shape[1:])

    def take(self, index_B: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs as float32 and labels of some examples.

        Images are scaled to [−1, 1] by (x/255 − 0.5)/0.5, features standardised.

        Args:
            index_B: Positions in this set, [B].
        """
        index_B = index_B.to(self.inputs.device)
        x, y = self.inputs[index_B], self.labels[index_B]
        if self.mean is None or self.std is None:
            return x.float().div_(127.5).sub_(1.0), y
        return (x - self.mean) / self.std, y

    def standardised_by(self, other: Self) -> Self:
        """This set of features, scaled by the mean and the deviation of another."""
        mean, std = other.inputs.mean(dim=0), other.inputs.std(dim=0, correction=0)
        return replace(self, mean=mean, std=torch.where(std > 0, std, torch.ones_like(std)))

    def to(self, device: torch.device) -> Self:
        """The same set on a device."""
        tensors = {name: value for name, value in vars(self).items() if value is not None}
        return replace(self, **{name: value.to(device) for name, value in tensors.items()})
