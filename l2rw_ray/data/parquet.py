"""Any classification table in Parquet: encoded images or numeric features, and a label."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from l2rw_ray.config.data import ParquetData
from l2rw_ray.data.cache import Arrays, cached
from l2rw_ray.data.source import Source, register
from l2rw_ray.errors import DataError

if TYPE_CHECKING:
    from l2rw_ray.data.parquet_table import ParquetTable


@register("parquet")
def load_parquet(config: ParquetData) -> Source:
    """Read, check and decode the train table and, where one is named, the test table.

    Decoded arrays are cached on disk by the files' path, size and time of change.

    Raises:
        DataError: A file is missing or no Parquet; a column is missing; an image, a feature or a
            label cannot be used. The message names file and row.
    """
    from l2rw_ray.data.parquet_table import ParquetTable

    train = ParquetTable.open("trial.data.train", config.train)
    names = _class_names(config, train)
    inputs, labels = _decode(config, train, names)
    if config.test is None:
        return Source(inputs, labels, names)
    test = ParquetTable.open("trial.data.test", config.test)
    test_inputs, test_labels = _decode(config, test, names)
    if test_inputs.shape[1:] != inputs.shape[1:]:
        raise DataError(
            "trial.data.test",
            config.test,
            f"inputs of shape {tuple(test_inputs.shape[1:])}, those of train have {tuple(inputs.shape[1:])}",
            "give both the same size",
        )
    return Source(inputs, labels, names, test_inputs, test_labels)


def _class_names(config: ParquetData, train: "ParquetTable") -> tuple[str, ...]:
    """Names from the file's own metadata, else the labels that occur."""
    labels = train.labels(config.label)
    if labels.dtype.kind == "U":
        return tuple(np.unique(labels).tolist())
    stated = train.metadata_list("class_names")
    return stated or tuple(map(str, range(int(labels.max()) + 1)))


def _decode(config: ParquetData, table: "ParquetTable", names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Inputs and class indices of a table."""

    def decode() -> Arrays:
        if config.features is not None:
            return {"inputs": table.features(config.features)}
        assert config.image is not None
        return {"inputs": table.images(config.image)}

    labels = _as_indices(config, table, names)
    identity = {"files": table.identity, "image": config.image, "features": config.features}
    return cached(identity, decode)["inputs"], labels


def _as_indices(config: ParquetData, table: "ParquetTable", names: Sequence[str]) -> Tensor:
    import torch

    labels = table.labels(config.label)
    if labels.dtype.kind == "U":
        index = {name: position for position, name in enumerate(names)}
        found: list[Any] = [index.get(label, -1) for label in labels.tolist()]
        labels = np.array(found)
    outside = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if len(outside):
        row = int(outside[0])
        raise DataError(
            "trial.data.label",
            config.label,
            f"{table.locate(row)} has a label outside the {len(names)} classes of train",
            "mend the row, or the class_names in the file's metadata",
        )
    return torch.from_numpy(labels.astype(np.int64))
