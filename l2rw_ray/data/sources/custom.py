"""Load a custom source and check what splits and models rely on."""

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.data.sources import CustomData
from l2rw_ray.data.source import SOURCES, Source
from l2rw_ray.data.sources.custom_trust import trust_fault
from l2rw_ray.errors import DataError
from l2rw_ray.import_path import users_code
from l2rw_ray.trees import Tree, named_leaves

_FIELD = "trial.data.source"
_SEED = 0


def load_custom(config: CustomData) -> Source:
    """Call the loader that an import path names with its options.

    Raises:
        InputError: It cannot be imported, or raises.
        DataError: It returns no `Source`, or its tensors are not what `Source` documents.
    """
    load = SOURCES.get(config.source)
    torch.manual_seed(_SEED)  # so that a loader which draws gives every worker the same examples
    np.random.seed(_SEED)  # noqa: NPY002  # a loader may draw from the legacy generator
    random.seed(_SEED)
    with users_code(config.source, _FIELD):
        source: object = load(**config.options)
    if not isinstance(source, Source):
        raise _unusable(config, f"returned a {type(source).__name__}", "return a l2rw_ray.data.Source")
    if (source.test_inputs is None) != (source.test_labels is None):
        raise _unusable(config, "has test inputs or test labels, but not both", "give both, or neither")
    if source.targets is not None and (source.test_targets is None) != (source.test_labels is None):
        raise _unusable(config, "has targets, but not for all examples", "make it by regression_source")
    _check(config, source.inputs, source.labels, source, "")
    _check_targets(config, source.targets, source.labels, "")
    _check_groups(config, source)
    _check_difficulty(config, source)
    _check_weight_features(config, source)
    if (fault := trust_fault(source)) is not None:
        raise _unusable(config, *fault)
    if source.test_inputs is not None and source.test_labels is not None:
        _check(config, source.test_inputs, source.test_labels, source, "test_")
        _check_targets(config, source.test_targets, source.test_labels, "test_")
        if not len(source.test_labels):
            raise _unusable(config, "has a test set without examples", "fill it, or leave it out")
        if _form(source.test_inputs) != _form(source.inputs):
            raise _unusable(config, "test_inputs are not of the form that inputs are", "give both one form")
    return source


def _check(config: CustomData, inputs: Tree, labels: Tensor, source: Source, prefix: str) -> None:
    """Check types, shapes and values of inputs and labels."""
    leaves = list(named_leaves(inputs))
    if any(path for path, _ in leaves):
        count = _checked_parts(config, leaves, f"{prefix}inputs")
    else:
        count = _checked_tensor(config, inputs, f"{prefix}inputs")
    _check_labels(config, labels, source, count, prefix)


def _checked_tensor(config: CustomData, inputs: object, name: str) -> int:
    """Check inputs that are one tensor. Returns the number of examples."""
    is_image = isinstance(inputs, Tensor) and inputs.dtype == torch.uint8 and inputs.ndim == 4
    is_vector = isinstance(inputs, Tensor) and inputs.dtype == torch.float32 and inputs.ndim == 2
    if not isinstance(inputs, Tensor) or not (is_image or is_vector):
        remedy = "give images as uint8 [N, C, H, W], or features as float32 [N, F], or a dict of any tensors"
        raise _unusable(config, f"{name} are {_described(inputs)}", remedy)
    if is_vector and not inputs.isfinite().all():
        raise _unusable(config, f"{name} are not all finite", "fill in what is missing")
    return len(inputs)


def _checked_parts(config: CustomData, leaves: Sequence[tuple[str, object]], name: str) -> int:
    """Check the parts of inputs that are a tree. Returns the number of examples."""
    counts: dict[int, str] = {}
    for path, part in leaves:
        if not isinstance(part, Tensor) or not part.ndim or part.layout != torch.strided:
            problem = f"{name}.{path} is {_described(part)}"
            raise _unusable(config, problem, "give a dense tensor with a row per example, or leave it out")
        if part.is_floating_point() and part.isnan().any():
            raise _unusable(config, f"{name}.{path} has NaN", "fill in what is missing")
        counts.setdefault(len(part), f"{len(part)} rows of {name}.{path}")
    if len(counts) > 1:
        problem = f"has {' and '.join(counts.values())}"
        raise _unusable(config, problem, "give each example a row in every tensor")
    return next(iter(counts))


def _check_labels(config: CustomData, labels: Tensor, source: Source, count: int, prefix: str) -> None:
    is_index = isinstance(labels, Tensor) and labels.dtype == torch.int64
    if not is_index or labels.shape != (count,):
        problem = f"{prefix}labels are {_described(labels)}"
        raise _unusable(config, problem, f"give class indices as int64 [{count}]")
    classes = len(source.class_names)
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        problem = f"{prefix}labels reach from {int(labels.min())} to {int(labels.max())}"
        raise _unusable(config, problem, f"give indices below {classes}, the number of class_names")


def _check_targets(config: CustomData, targets: object, labels: Tensor, prefix: str) -> None:
    if targets is None:
        return
    if not isinstance(targets, Tensor) or targets.dtype != torch.float32 or targets.shape != labels.shape:
        remedy = f"give float32 [{len(labels)}], or None"
        raise _unusable(config, f"{prefix}targets are {_described(targets)}", remedy)
    if not targets.isfinite().all():
        raise _unusable(config, f"{prefix}targets are not all finite", "fill in what is missing")


def _check_groups(config: CustomData, source: Source) -> None:
    groups: object = source.groups
    if groups is None:
        return
    if not isinstance(groups, Tensor) or groups.dtype != torch.int64 or groups.shape != source.labels.shape:
        remedy = f"give indices as int64 [{len(source.labels)}], or None"
        raise _unusable(config, f"groups are {_described(groups)}", remedy)


def _check_difficulty(config: CustomData, source: Source) -> None:
    given: object = source.difficulty
    if given is None:
        return
    if not isinstance(given, Tensor) or given.dtype != torch.float32 or given.shape != source.labels.shape:
        remedy = f"give numbers as float32 [{len(source.labels)}], or None"
        raise _unusable(config, f"difficulty is {_described(given)}", remedy)


def _check_weight_features(config: CustomData, source: Source) -> None:
    features: object = source.weight_features
    if features is None:
        return
    remedy = f"give them as float32 [{len(source.labels)}, F], or None"
    if not isinstance(features, Tensor) or features.dtype != torch.float32 or features.ndim != 2:
        raise _unusable(config, f"weight_features are {_described(features)}", remedy)
    if len(features) != len(source.labels) or not features.shape[1]:
        raise _unusable(config, f"weight_features are {_described(features)}", remedy)
    if not features.isfinite().all():
        raise _unusable(config, "weight_features are not all finite", "fill in what is missing")


def _form(inputs: Tree) -> dict[str, tuple[torch.dtype, torch.Size]]:
    return {path: (part.dtype, part.shape[1:]) for path, part in named_leaves(inputs)}


def _described(value: object) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"


def _unusable(config: CustomData, problem: str, remedy: str) -> DataError:
    return DataError(_FIELD, config.source, problem, remedy)
