"""One row of the ledger: the record of a finished trial and its explicit Arrow types.

Floats that a trial does not have are null. NaN is a value, written as it is.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from l2rw_ray.events import ConfusionMatrix, EpochCompleted, ExampleOutcomes, KnownNoise
from l2rw_ray.results.columns import COLUMNS, METRICS_WITH_COLUMN

SCHEMA_VERSION = 7
"""2 added `split_sizes` and the columns of `ARRAYS`, 3 added `log`, 4 added `estimator_used` and
`certificate_error`, 5 added `known_noise`; older rows do not have them. 6 added the status `diverged`,
which was `failed` before. 7 added `test_outcomes`."""

METRIC_COLUMNS = tuple(column.name for column in METRICS_WITH_COLUMN)
"""Final metrics with their own column; all others go to the column `metrics`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """A finished trial.

    Attributes:
        status: `completed`, `stopped`, `diverged` or `failed`.
        attempt: The attempt that ended it, counted up when the infrastructure lost the trial.
        reason: Why a stopped trial stopped: `scheduler` or `interrupted`.
        error: `ExceptionType: message` of a failed or diverged trial.
        config: The resolved trial as JSON.
        method: Name of the method.
        metrics: Final metrics by name.
        split_hashes: SHA-256 over the row indices of train, meta, validation and test.
        class_counts: Train examples per class as labelled.
        versions: Package name to version.
        commit: Commit of this package's source, None outside a repository.
        device: Device type, None where the trial failed before it had one.
        started_at: UTC start of the first attempt.
        warnings: Problems of the method, with remedies; and checkpoints that could not be written or used.
        history: Epochs, in order.
        confusion: The test set by true and predicted class.
        outcomes: Outcome of each test example; None where it was not kept.
        split_sizes: Examples of train, meta, validation and test.
        log: Its output, a file relative to the study folder; None where there is none.
        estimator_used: Estimator that computed its latest scores; None where it computed none.
        known_noise: How given labels of its data differ from verified ones; None where there are not both.
    """

    trial_id: str
    status: str
    seed: int
    attempt: int
    config: str
    method: str
    epochs: float
    steps: int
    duration_s: float
    versions: Mapping[str, str]
    commit: str | None
    workers: int
    cpus_per_worker: int
    gpus_per_worker: float
    started_at: datetime
    reason: str | None = None
    error: str | None = None
    traceback: str | None = None
    train_examples: int | None = None
    device: str | None = None
    hardware: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    split_hashes: Mapping[str, str] = field(default_factory=dict)
    class_counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    history: tuple[EpochCompleted, ...] = ()
    confusion: ConfusionMatrix | None = None
    outcomes: ExampleOutcomes | None = None
    split_sizes: Mapping[str, int] = field(default_factory=dict)
    log: str | None = None
    estimator_used: str | None = None
    known_noise: KnownNoise | None = None


ARRAYS = ("weight_histograms", "step_series", "confusion", "known_noise", "test_outcomes")
"""Columns that the functions of `l2rw_ray.results.arrays` read."""

SCHEMA = pa.schema([pa.field(column.name, column.type, column.nullable) for column in COLUMNS])


def as_table(record: TrialRecord) -> pa.Table:
    """Return the record as a table of one row with the ledger's columns."""
    return pa.Table.from_pylist([_as_row(record)], schema=SCHEMA)


def _as_row(record: TrialRecord) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in SCHEMA.names if hasattr(record, name)}
    hashes = {f"split_hash_{split}": digest for split, digest in record.split_hashes.items()}
    unknown = sorted(set(hashes) - set(SCHEMA.names))
    if unknown:
        raise ValueError(f"the ledger has no column {unknown[0]!r}")
    metrics = {name: float(value) for name, value in record.metrics.items()}
    return {
        **row,
        **{name: metrics.pop(name) for name in METRIC_COLUMNS if name in metrics},
        **hashes,
        "class_counts": list(record.class_counts.items()),
        "split_sizes": list(record.split_sizes.items()),
        "versions": json.dumps(dict(record.versions), sort_keys=True),
        "schema_version": SCHEMA_VERSION,
        "metrics": list(metrics.items()),
        "history": [_epoch_row(epoch) for epoch in record.history],
        "weight_histograms": [
            {"epoch": epoch.epoch, **asdict(epoch.weights)} for epoch in record.history if epoch.weights
        ],
        "step_series": [
            {"epoch": epoch.epoch, **asdict(epoch.series)} for epoch in record.history if epoch.series
        ],
        "confusion": asdict(record.confusion) if record.confusion else None,
        "test_outcomes": asdict(record.outcomes) if record.outcomes else None,
        "known_noise": asdict(record.known_noise) if record.known_noise else None,
    }


def _epoch_row(epoch: EpochCompleted) -> dict[str, Any]:
    own = {name: getattr(epoch, name) for name in ("epoch", "step", "duration_s")}
    return {**own, "metrics": list(epoch.metrics.items())}
