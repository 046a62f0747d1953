"""Read metrics over epochs as columns of numbers, for studies of many trials."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.reader import read_ledger

_TRIALS_AT_ONCE = 1024


@dataclass(frozen=True)
class Epochs:
    """The E epochs of all trials, those of a trial next to each other.

    Attributes:
        places: Where those of a trial are, by trial id.
        epoch: Epochs trained, `[E]`.
        duration_s: Wall time of each, evaluation included, in seconds, `[E]`.
        metrics: Values by name, `[E]`; NaN where an epoch has none.
    """

    places: Mapping[str, slice]
    epoch: NDArray[np.int64]
    duration_s: NDArray[np.float64]
    metrics: Mapping[str, NDArray[np.float64]]


def read_epochs(directory: Path | str, wanted: Callable[[str], bool]) -> Epochs:
    """Read the epochs of the trials in the ledger.

    Args:
        directory: The study folder.
        wanted: Returns whether a metric is read, by name.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    ledger = read_ledger(StudyFolder(Path(directory)), ["trial_id", "history"])
    places: dict[str, slice] = {}
    parts = []
    end = 0
    for batch in ledger.to_batches(max_chunksize=_TRIALS_AT_ONCE):
        lengths = pc.fill_null(pc.list_value_length(batch["history"]), 0).to_pylist()
        for trial_id, length in zip(batch["trial_id"].to_pylist(), lengths, strict=True):
            places[trial_id] = slice(end, end + length)
            end += length
        parts.append(_columns(batch["history"].flatten(), wanted))
    names = dict.fromkeys(name for part in parts for name in part)
    columns = {
        name: np.concatenate([part.get(name, np.full(len(part["/epoch"]), np.nan)) for part in parts])
        for name in names
    }
    epoch = columns.pop("/epoch", np.empty(0)).astype(np.int64)
    return Epochs(places, epoch, columns.pop("/duration_s", np.empty(0)), columns)


def _columns(epochs: pa.StructArray, wanted: Callable[[str], bool]) -> dict[str, NDArray[np.float64]]:
    """Return the epoch and the duration, named with a slash as no metric is, and the wanted metrics."""
    metrics = pc.struct_field(epochs, "metrics")
    names = [name for name in pc.unique(metrics.keys).to_pylist() if wanted(name)]
    found = {f"/{name}": pc.struct_field(epochs, name) for name in ("epoch", "duration_s")}
    found |= {name: pc.map_lookup(metrics, name, "first") for name in names}
    return {name: values.to_numpy(zero_copy_only=False).astype(np.float64) for name, values in found.items()}
