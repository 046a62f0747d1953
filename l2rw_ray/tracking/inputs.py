"""Data sets of a trial as MLflow shows them; imports no tracking library."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from l2rw_ray.masking import masked_tree

SPLITS = ("train", "meta", "validation", "test")
_DIGEST_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class DataInput:
    """One of the four sets of a trial.

    Attributes:
        split: `train`, `meta`, `validation` or `test`.
        name: Name of the source.
        digest: First characters of the SHA-256 of the row indices.
        source: The data section of the configuration, as JSON.
        profile: Number of examples, and class counts of the train set, as JSON; None if unknown.
    """

    split: str
    name: str
    digest: str
    source: str
    profile: str | None


def data_inputs(row: Mapping[str, Any]) -> list[DataInput]:
    """Return the sets of a row of `read_study`; none if the trial failed before it had loaded data."""
    config = json.loads(row["config"]).get("data", {}) if row["config"] else {}
    sizes, counts = dict(row.get("split_sizes") or ()), dict(row.get("class_counts") or ())
    if row.get("train_examples") is not None:
        sizes = {"train": row["train_examples"]} | sizes
    inputs = []
    for split in SPLITS:
        digest = row.get(f"split_hash_{split}")
        if not digest:
            continue
        profile: dict[str, Any] = {"num_rows": sizes[split]} if split in sizes else {}
        if split == "train" and counts:
            profile["class_counts"] = counts
        inputs.append(
            DataInput(
                split=split,
                name=f"{config.get('source', 'data')} {split}",
                digest=digest[:_DIGEST_CHARACTERS],
                source=json.dumps(masked_tree(config), sort_keys=True),
                profile=json.dumps(profile) if profile else None,
            )
        )
    return inputs
