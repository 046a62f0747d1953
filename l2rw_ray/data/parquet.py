"""Any classification table in Parquet: encoded images or numeric features, and a label."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.data import ParquetData
from l2rw_ray.data.cache import cached
from l2rw_ray.data.source import SOURCES, Source
from l2rw_ray.errors import DataError

if TYPE_CHECKING:
    from l2rw_ray.data.parquet_table import ParquetTable


@SOURCES.register("parquet")
def load_parquet(config: ParquetData) -> Source:
    """Read, check and decode the train table and, where one is named, the test table.

    Integer labels are class indices, named by the JSON list `class_names` in the train files'
    metadata where there is one; text labels become classes in sorted order. Decoded inputs are
    cached on disk by the files' path, size and time of change.

    Raises:
        DataError: A file is missing or no Parquet; a column is missing; an image, a feature or a
            label cannot be used. The message names file and row.
    """
    from l2rw_ray.data.parquet_table import ParquetTable

    train = ParquetTable.open("trial.data.train", config.train)
    labels = train.labels(config.label)
    names = _class_names(train, labels)
    indices = _as_indices(config, train, labels, names)
    if config.test is None:
        return Source(
            _inputs(config, train),
            indices,
            names,
            groups=_groups(config, train),
            weight_features=_weight_features(config, train),
        )
    test = ParquetTable.open("trial.data.test", config.test)
    test_indices = _as_indices(config, test, test.labels(config.label), names)
    inputs, test_inputs = _inputs(config, train), _inputs(config, test)
    if test_inputs.shape[1:] != inputs.shape[1:]:
        raise DataError(
            "trial.data.test",
            config.test,
            f"inputs of shape {tuple(test_inputs.shape[1:])}, those of train have {tuple(inputs.shape[1:])}",
            "give both the same size",
        )
    groups, weight_features = _groups(config, train, test), _weight_features(config, train)
    return Source(inputs, indices, names, test_inputs, test_indices, groups, weight_features)


def _groups(config: ParquetData, train: "ParquetTable", test: "ParquetTable | None" = None) -> Tensor | None:
    """Index of each train example's group, int64 [N]; None where the study names no groups."""
    if config.group is None:
        return None
    named, indices = np.unique(train.labels(config.group, "trial.data.group"), return_inverse=True)
    if test is not None:
        shared = np.intersect1d(named, test.labels(config.group, "trial.data.group"))
        if len(shared):
            problem = f"{len(shared)} groups are in train and in test, such as {shared[0]}"
            remedy = "leave trial.data.test out, so that the test set is drawn by groups"
            raise DataError("trial.data.group", config.group, problem, remedy)
    return torch.from_numpy(indices.astype(np.int64))


def _weight_features(config: ParquetData, table: "ParquetTable") -> Tensor | None:
    """What train examples are weighed by, float32 [N, F]; None where the study names no columns."""
    columns = config.weight_features
    if columns is None:
        return None
    identity = {"files": table.identity, "weight_features": columns}
    return cached(identity, lambda: table.features(columns, "trial.data.weight_features"))


def _inputs(config: ParquetData, table: "ParquetTable") -> Tensor:
    """Images, uint8 [N, C, H, W], or features, float32 [N, F]."""

    def decode() -> np.ndarray[Any, Any]:
        from l2rw_ray.data.image_column import decode_images

        if config.features is not None:
            return table.features(config.features)
        assert config.image is not None
        return decode_images(table, config.image)

    identity = {"files": table.identity, "image": config.image, "features": config.features}
    return cached(identity, decode)


def _class_names(train: "ParquetTable", labels: np.ndarray[Any, Any]) -> tuple[str, ...]:
    """Text labels themselves, or names from the files' own metadata, or the indices up to the largest."""
    if labels.dtype.kind == "U":
        return tuple(np.unique(labels).tolist())
    stated = train.metadata_list("class_names")
    classes = min(int(labels.max()) + 1, len(labels))  # no more, or some could not occur
    return stated or tuple(map(str, range(classes)))


def _as_indices(
    config: ParquetData, table: "ParquetTable", labels: np.ndarray[Any, Any], names: tuple[str, ...]
) -> Tensor:
    """Class indices, int64 [N]; a label that is no class is refused."""
    if labels.dtype.kind == "U":
        index = {name: position for position, name in enumerate(names)}
        indices = np.array([index.get(label, -1) for label in labels.tolist()])
    else:
        indices = labels.astype(np.int64)
    outside = np.flatnonzero((indices < 0) | (indices >= len(names)))
    if len(outside):
        row = int(outside[0])
        raise DataError(
            "trial.data.label",
            config.label,
            f"label {labels[row]} in {table.locate(row)} is none of the {len(names)} classes of train",
            "use labels from 0 to classes − 1, and mend the row or the class_names in the metadata",
        )
    return torch.from_numpy(indices)
