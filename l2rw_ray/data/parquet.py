"""Any table in Parquet: encoded images or numeric features, and a label or a target."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.data import ParquetData
from l2rw_ray.data.cache import cached
from l2rw_ray.data.source import SOURCES, Source
from l2rw_ray.data.targets import regression_source
from l2rw_ray.errors import DataError

if TYPE_CHECKING:
    from l2rw_ray.data.parquet_table import ParquetTable


@SOURCES.register("parquet")
def load_parquet(config: ParquetData) -> Source:
    """Read, check and decode the train table and, where one is named, the test table.

    Integer labels are class indices, named by the JSON list `class_names` in the train files'
    metadata where there is one; text labels become classes in sorted order. A target is a numeric
    column, whose deciles stand for classes where sets are stratified. Decoded inputs are
    cached on disk by the files' path, size and time of change.

    Raises:
        DataError: A file is missing or no Parquet; a column is missing; an image, a feature, a
            label or a target cannot be used. The message names file and row.
    """
    from l2rw_ray.data.parquet_table import ParquetTable

    train = ParquetTable.open("trial.data.train", config.train)
    if config.target is not None:
        return _load_regression(config, train)
    assert config.label is not None
    labels = train.labels(config.label)
    names = _class_names(train, labels)
    indices = _as_indices(config, train, labels, names)
    if config.test is None:
        return Source(_inputs(config, train), indices, names, groups=_groups(config, train))
    test = ParquetTable.open("trial.data.test", config.test)
    test_indices = _as_indices(config, test, test.labels(config.label), names)
    inputs, test_inputs = _both_inputs(config, train, test)
    return Source(inputs, indices, names, test_inputs, test_indices, _groups(config, train, test))


def _load_regression(config: ParquetData, train: "ParquetTable") -> Source:
    """The same of a table with a target."""
    from l2rw_ray.data.parquet_table import ParquetTable

    options: dict[str, Any] = {"feature_names": config.features, "below": config.target_below}
    targets = _targets(config, train)
    if config.test is None:
        return regression_source(_inputs(config, train), targets, groups=_groups(config, train), **options)
    test = ParquetTable.open("trial.data.test", config.test)
    test_targets = _targets(config, test)
    inputs, test_inputs = _both_inputs(config, train, test)
    groups = _groups(config, train, test)
    return regression_source(inputs, targets, test_inputs, test_targets, groups, **options)


def _targets(config: ParquetData, table: "ParquetTable") -> Tensor:
    """What is predicted, float32 [N]; one that is missing is refused."""
    assert config.target is not None
    return torch.from_numpy(table.features([config.target], "trial.data.target")[:, 0])


def _both_inputs(config: ParquetData, train: "ParquetTable", test: "ParquetTable") -> tuple[Tensor, Tensor]:
    """Inputs of the train and of the test table; those of different shapes are refused."""
    inputs, test_inputs = _inputs(config, train), _inputs(config, test)
    if test_inputs.shape[1:] != inputs.shape[1:]:
        raise DataError(
            "trial.data.test",
            config.test,
            f"inputs of shape {tuple(test_inputs.shape[1:])}, those of train have {tuple(inputs.shape[1:])}",
            "give both the same size",
        )
    return inputs, test_inputs


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


def _inputs(config: ParquetData, table: "ParquetTable") -> Tensor:
    """Images, uint8 [N, C, H, W], or features, float32 [N, F]."""

    def decode() -> np.ndarray[Any, Any]:
        from l2rw_ray.data.image_column import decode_images

        if config.features is not None:
            return table.features(config.features, may_lack=config.missing == "mean")
        assert config.image is not None
        return decode_images(table, config.image)

    identity: dict[str, Any] = {"files": table.identity}
    identity |= {"image": config.image, "features": config.features}
    if config.missing != "error":
        identity["missing"] = config.missing
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
