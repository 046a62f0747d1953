"""Sources of examples, the four sets and the protocols applied to them, and batches."""

import warnings

from l2rw_ray.data.examples import ExampleSet
from l2rw_ray.data.loaders import (
    Batch,
    MetaSampler,
    batches_in_order,
    epoch_batches,
    epoch_order,
    steps_per_epoch,
)
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.source import Source
from l2rw_ray.data.sources import digits, ham10000, image_folder, synthetic, table_source, torchvision_sources
from l2rw_ray.data.sources.load import load_source
from l2rw_ray.data.splits.label_noise import uniform_noise
from l2rw_ray.data.splits.splits import Splits, make_splits
from l2rw_ray.data.splits.targets import regression_source
from l2rw_ray.data.streaming.parts import ReadParts, RowPart, read_here
from l2rw_ray.data.whole_pass import whole_pass

__all__ = [
    "Batch",
    "ExampleSet",
    "MetaSampler",
    "ReadParts",
    "RowPart",
    "Source",
    "Splits",
    "batches_in_order",
    "digits",
    "epoch_batches",
    "epoch_order",
    "ham10000",
    "image_folder",
    "load_source",
    "make_splits",
    "read_here",
    "regression_source",
    "rng_for",
    "steps_per_epoch",
    "synthetic",
    "table_source",
    "torchvision_sources",
    "uniform_noise",
    "whole_pass",
]


def __getattr__(name: str) -> object:
    """Return `rng_for` under its former name, with a warning; removed in the next release."""
    if name != "stream":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{__name__}.stream is now {__name__}.rng_for", DeprecationWarning, stacklevel=2)
    return rng_for
