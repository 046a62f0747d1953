"""A set of examples in memory, ready to be batched."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class ExampleSet:
    """Examples kept as they were decoded, and scaled when a batch is taken.

    Shape suffixes: N examples of the set, S of the store it draws from, B batch, F features.

    Attributes:
        inputs: Images as uint8 [N, C, H, W], or features as float32 [N, F]; with `places` a store
            of S inputs that several sets (and, memory-mapped, several processes) share.
        labels: Class indices, int64 [N]; of a regression indices of the target's strata.
        corrupted: Which labels or targets were corrupted on purpose, bool [N].
        rows: Row of each example in its source, int64 [N].
        mean: What is subtracted from features, [F]; None for images.
        std: What features are divided by, [F]; None for images.
        places: Place of each example in the store, int64 [N]; None where `inputs` are its own.
        weight_features: What a weight model weighs the examples by, standardised, float32 [N, F]; the
            train set's alone, and None where its source has none.
        targets: What a regression predicts, in original units, float32 [N]; None for classes.
        target_mean: What is subtracted from targets, []; None for classes.
        target_std: What targets are divided by, []; None for classes.
    """

    inputs: Tensor
    labels: Tensor
    corrupted: Tensor
    rows: Tensor
    mean: Tensor | None = None
    std: Tensor | None = None
    places: Tensor | None = None
    weight_features: Tensor | None = None
    targets: Tensor | None = None
    target_mean: Tensor | None = None
    target_std: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.inputs.shape[1:])

    @property
    def scales(self) -> dict[str, Tensor]:
        """What features and targets are standardised by, by name of the attribute; empty of images."""
        named = {name: getattr(self, name) for name in ("mean", "std", "target_mean", "target_std")}
        return {name: scale for name, scale in named.items() if scale is not None}

    def take(
        self, index_B: Tensor, change: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Inputs as float32 [B, …] and labels, int64 [B], or standardised targets, float32 [B].

        Images are scaled to [−1, 1] by (x/255 − 0.5)/0.5, features standardised; one that is missing (NaN)
        becomes the mean, 0.

        Args:
            index_B: Positions in this set, int64 [B].
            change: What is done to the images, uint8 [B, C, H, W], before.
        """
        index_B = index_B.to(self.inputs.device)
        places_B = index_B if self.places is None else self.places[index_B]
        x, y = self.inputs.index_select(0, places_B), self.answers(index_B)
        if change is not None:
            x = change(x)
        if self.mean is None or self.std is None:
            return x.float().div_(127.5).sub_(1.0), y
        x = x.sub_(self.mean).div_(self.std)
        return x.masked_fill_(x.isnan(), 0.0), y

    def answers(self, index_B: Tensor) -> Tensor:
        """Labels, int64 [B], or standardised targets, float32 [B], of some examples.

        Args:
            index_B: Positions in this set, int64 [B].
        """
        if self.targets is None:
            return self.labels[index_B]
        assert self.target_mean is not None
        assert self.target_std is not None
        return (self.targets[index_B] - self.target_mean) / self.target_std

    def to(self, device: torch.device) -> Self:
        """The same set on a device, where it holds no more than its own inputs."""
        if device == self.labels.device:
            return self
        own = self if self.places is None else replace(self, inputs=self.inputs[self.places], places=None)
        tensors = {name: value for name, value in vars(own).items() if value is not None}
        return replace(own, **{name: value.to(device) for name, value in tensors.items()})


def feature_scale(features_NF: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature; a constant one has deviation 1.

    Missing values, NaN, do not count; a feature without any value has mean 0.

    Computed in float64: a feature whose mean is large beside its spread keeps its digits.

    Args:
        features_NF: At least one row of features, float32 [N, F].

    Returns:
        Both float32 [F].
    """
    wide = features_NF.double()
    missing_NF = wide.isnan()
    low_F = wide.masked_fill(missing_NF, torch.inf).amin(dim=0)
    constant_F = low_F >= wide.masked_fill(missing_NF, -torch.inf).amax(dim=0)
    wide = torch.where(missing_NF, wide.nanmean(dim=0).nan_to_num(0.0), wide)
    known_F = (~missing_NF).sum(dim=0).clamp_min(1)
    std_F = wide.std(dim=0, correction=0) * (len(wide) / known_F).sqrt()
    return wide.mean(dim=0).float(), std_F.masked_fill(constant_F, 1.0).float()
