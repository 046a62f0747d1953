"""A set of examples in memory, ready to be batched."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from l2rw_ray.data.categories.encoder import FEATURES, CategoryEncoder
from l2rw_ray.data.row_ids import RowIds, identities
from l2rw_ray.data.row_store import RowStore, moved, select_rows, shape_of_one, take_rows
from l2rw_ray.data.streaming.stored_rows import StoredRows
from l2rw_ray.data.text.encoder import TextEncoder
from l2rw_ray.data.text.joining import joined_texts
from l2rw_ray.data.text.token_rows import TokenRows
from l2rw_ray.data.transforms import ImageTransforms
from l2rw_ray.errors import DataError
from l2rw_ray.trees import Shapes, Tree


@dataclass(frozen=True)
class ExampleSet:
    """Examples stored as decoded, and scaled when a batch is taken.

    Shape suffixes: N examples of the set, S of the store it draws from, B batch, F features.

    Attributes:
        inputs: Images as uint8 [N, C, H, W], features as floats [N, F], token ids of texts, or a tree of
            tensors [N, …], which are not scaled; with `places` a store of S inputs that several sets (and,
            memory-mapped, several processes) share.
        labels: Class indices, int64 [N]; of a regression indices of the target's strata.
        corrupted: Which labels or targets are known to be wrong: corrupted on purpose, or by a verified one,
            bool [N].
        rows: Row of each example in its source, int64 [N].
        mean: What is subtracted from features, [F], beside categories too; None for other inputs.
        std: What features are divided by, [F]; None as `mean`.
        places: Place of each example in the store, int64 [N]; None where `inputs` are its own.
        weight_features: Features from which a weight model weights the examples, standardised, float32 [N,
            F]; only of the train set, None where its source has none.
        targets: What a regression predicts, in original units, floats [N]; None for classes.
        target_mean: What is subtracted from targets, []; None for classes.
        target_std: What targets are divided by, []; None for classes.
        stored: Where the inputs of a train set that is streamed are, in the rows `rows`, and the order in
            which passes go through them; `inputs` then are of the same kind and hold none, unless it
            says that they are held in memory anyway.
        encoder: What made numbers of texts or categories; None for other inputs.
        unverified: Of which labels or targets nobody knows whether they are right, bool [N]; None where it is
            known of all. None of them is `corrupted`, and none counts as `clean`.
        ids: Identity of each row of its source, to be looked up by `rows`; None where the number of a row
            is its identity.
        transforms: What changes images when a batch is taken; None where nothing does. Images then stay on
            the CPU.
        pixel_mean: What is subtracted from the pixels of images, from 0 to 1, [C, 1, 1]; None for the middle.
        pixel_std: What they are divided by, [C, 1, 1]; None for a half.
    """

    inputs: Tree | RowStore
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
    stored: StoredRows | None = None
    encoder: TextEncoder | CategoryEncoder | None = None
    unverified: Tensor | None = None
    ids: RowIds | None = None
    transforms: ImageTransforms | None = None
    pixel_mean: Tensor | None = None
    pixel_std: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def clean(self) -> Tensor:
        """Which labels or targets are known to be right, bool [N]."""
        return ~self.corrupted if self.unverified is None else ~(self.corrupted | self.unverified)

    @property
    def corrupted_fraction(self) -> float | None:
        """Share of wrong labels or targets among those known to be right or wrong; None if none is known."""
        known = int(self.clean.sum()) + int(self.corrupted.sum())
        return int(self.corrupted.sum()) / known if known else None

    def identities(self, index_K: Tensor) -> list[str]:
        """Return the identities of some examples, such as `train.csv:17` or the value of an `id` column.

        Args:
            index_K: Positions in this set, int64 [K].
        """
        return identities(self.ids, self.rows[index_K])

    @property
    def is_streamed(self) -> bool:
        """Whether inputs are available only in the batches of a pass."""
        return self.stored is not None and not self.stored.in_memory

    @property
    def input_shape(self) -> Shapes:
        """Shape of one input; of a tree a dict or tuple of those of its parts."""
        return shape_of_one(self.inputs) if self.transforms is None else self.transforms.shape

    @property
    def input_sizes(self) -> Mapping[str, int | tuple[int, ...]]:
        """Sizes that a model needs besides the shape.

        `vocab_size` of texts, `category_sizes` of categories; empty for other inputs.
        """
        return {} if self.encoder is None else self.encoder.input_sizes

    @property
    def scales(self) -> dict[str, Tensor]:
        """The tensors that standardise inputs and targets, by attribute name; empty without those."""
        names = ("mean", "std", "target_mean", "target_std", "pixel_mean", "pixel_std")
        named = {name: getattr(self, name) for name in names}
        return {name: scale for name, scale in named.items() if scale is not None}

    @property
    def collate(self) -> Callable[[Any, Any], Any] | None:
        """What joins two batches of the set that differ in shape, as texts do; None where none do."""
        return joined_texts if isinstance(self.inputs, TokenRows) else None

    def take(self, index_B: Tensor) -> tuple[Tree, Tensor]:
        """Return inputs as a model takes them and labels, int64 [B], or standardised targets, float32 [B].

        Args:
            index_B: Positions in this set, int64 [B].

        Raises:
            DataError: The set is streamed.
        """
        index_B = index_B.to(self.labels.device)
        return self.scaled(self.inputs_of(index_B)), self.answers(index_B)

    def inputs_of(self, index_B: Tensor) -> Tree:
        """Return a copy of inputs as decoded, [B, …], or the tree of them.

        Args:
            index_B: Positions in this set, int64 [B], on its device.

        Raises:
            DataError: The set is streamed.
        """
        if self.is_streamed:
            raise self.streaming_error("the train examples come in batches, and cannot be taken one by one")
        return take_rows(self.inputs, self.places_of(index_B))

    def places_of(self, index_B: Tensor) -> Tensor:
        """Return places of examples in the store, int64 [B], on the store's device.

        Args:
            index_B: Positions in this set, int64 [B], on its device.
        """
        places_B = index_B if self.places is None else self.places[index_B]
        return places_B if self.transforms is None else places_B.cpu()

    def streaming_error(self, problem: str) -> DataError:
        """Return the error for a method that needs more of a streamed set than its batches."""
        assert self.stored is not None
        given = f"{{window: {self.stored.window}}}"
        return DataError("trial.data.stream", given, problem, "leave it out, or use another method")

    def scaled(self, inputs: Tree) -> Tree:
        """Return inputs as a model takes them, float32 [B, …], images with the transforms of evaluation.

        Args:
            inputs: What `inputs_of` returned; features are overwritten.
        """
        return self.normalised(inputs if self.transforms is None else self.transforms.evaluated(inputs))

    def normalised(self, x: Tree) -> Tree:
        """Scale inputs on the set's device, float32 [B, …]; of a tree only features and categories.

        Images are scaled to [−1, 1] by (x/255 − 0.5)/0.5 or standardised by `pixel_mean` and `pixel_std`;
        features are standardised, and one that is missing (NaN) becomes the mean, 0.

        Args:
            x: Images after their transforms, uint8 [B, C, H, W]; features, which are overwritten; or a tree.
        """
        if self.transforms is not None:
            x = x.to(self.labels.device)
        if self.pixel_mean is not None and self.pixel_std is not None:
            return x.float().div_(255).sub_(self.pixel_mean).div_(self.pixel_std)
        if isinstance(x, dict) and self.mean is not None:
            return {**x, FEATURES: self._standardised(x[FEATURES])}
        if not isinstance(x, Tensor):
            return x
        return x.float().div_(127.5).sub_(1.0) if self.mean is None else self._standardised(x)

    def _standardised(self, x: Tensor) -> Tensor:
        assert self.mean is not None
        assert self.std is not None
        x = x.sub_(self.mean).div_(self.std).float()  # not before: the mean may be large
        return x.masked_fill_(x.isnan(), 0.0)

    def answers(self, index_B: Tensor) -> Tensor:
        """Return labels, int64 [B], or standardised targets, float32 [B], of some examples.

        Args:
            index_B: Positions in this set, int64 [B].
        """
        if self.targets is None:
            return self.labels[index_B]
        assert self.target_mean is not None
        assert self.target_std is not None
        return ((self.targets[index_B] - self.target_mean) / self.target_std).float()

    def to(self, device: torch.device) -> Self:
        """Return the set on a device, with only its own inputs."""
        if device == self.labels.device:
            return self
        own = self
        if self.places is not None and self.transforms is None:
            own = replace(self, inputs=select_rows(self.inputs, self.places), places=None)
        tensors = {name: value for name, value in vars(own).items() if isinstance(value, Tensor)}
        there: dict[str, Any] = {
            name: value.to(device) for name, value in tensors.items() if name != "inputs"
        }
        return replace(own, **there, inputs=own.inputs if own.transforms else moved(own.inputs, device))


def feature_scale(features_NF: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and standard deviation of each feature; a constant one has deviation 1.

    Missing values, NaN, do not count; a feature without any value has mean 0.

    Computed in float64: a feature whose mean is large relative to its spread keeps its precision.

    Args:
        features_NF: At least one row of features, [N, F].

    Returns:
        Both [F], of the type of the features.
    """
    return column_scales(features_NF.unbind(dim=1))


def column_scales(columns_FN: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Compute what `feature_scale` does of columns that come one after the other, [N] each."""
    means, stds = zip(*map(_column_scale, columns_FN), strict=True)
    return torch.stack(means), torch.stack(stds)


def _column_scale(column_N: Tensor) -> tuple[Tensor, Tensor]:
    wide = column_N.double().contiguous()  # sums depend on the layout
    missing_N = wide.isnan()
    known = wide[~missing_N]
    is_constant = not len(known) or bool(known.amin() >= known.amax())
    wide = torch.where(missing_N, wide.nanmean().nan_to_num(0.0), wide)
    std = wide.std(correction=0) * (len(wide) / (~missing_N).sum().clamp_min(1)).sqrt()
    return wide.mean().to(column_N), (torch.ones_like(std) if is_constant else std).to(column_N)
