"""Names, tags, parameters and files of tracking runs; imports no tracking library."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from l2rw_ray.config.planned_trial import level_text, short_name, trial_label
from l2rw_ray.masking import masked, masked_tree

Row = Mapping[str, Any]

FACTOR = "factor."
PLANNED = "l2rw.planned"
"""Tag: `yes`, or `no` for trials that the study no longer plans."""
RESOURCES = ("workers", "cpus_per_worker", "gpus_per_worker")
_TAGGED = ("method", "estimator_used", "reason", "error", "hardware")
_RESERVED = {*_TAGGED, "status", "seed", "stage", "device", "commit"}
"""Names that no level may have as its short name."""
_COMMIT = "mlflow.source.git.commit"  # MLflow's own name for it
_LONGEST_TEXT = 1000


def trial_name(row: Row) -> str:
    """Return the name of the run of a trial: method, levels and seed."""
    return trial_label(row["method"], factors_of(row), f"seed {row['seed']}")


def point_name(method: str, factors: Mapping[str, Any]) -> str:
    """Return the name of the run of a design point, such as `l2rw · bias 0.9`."""
    return trial_label(method, factors)


def factors_of(row: Row) -> dict[str, Any]:
    """Return the levels of a trial by path, without the method."""
    levels = {name.removeprefix(FACTOR): level for name, level in row.items() if name.startswith(FACTOR)}
    return {path: level for path, level in levels.items() if path != "method.name" and level is not None}


def trial_params(row: Row) -> dict[str, str]:
    """Return the configuration of a trial with dotted keys, its seed and its resources."""
    params = dict(_flatten(json.loads(row["config"]))) if row["config"] else {}
    params["seed"] = str(row["seed"])
    for name in RESOURCES:
        params[f"resources.{name}"] = str(row[name])
    return params


def trial_tags(row: Row) -> dict[str, str]:
    """Return the tags of a trial, by which runs are filtered and grouped.

    The seed is a parameter, the status MLflow's own, and package versions are in a file.
    """
    tags: dict[str, Any] = {name: row.get(name) for name in (*_TAGGED, "stage")}
    tags |= factor_tags(factors_of(row))
    tags |= {"mlflow.source.name": "l2rw-ray", _COMMIT: row["commit"]}
    return {name: _text(value) for name, value in tags.items() if value is not None}


def factor_tags(factors: Mapping[str, Any]) -> dict[str, str]:
    """Return levels by short names such as `bias`, or by `factor.<path>` where these are not unique."""
    names = [short_name(path) for path in factors]
    return {
        name if names.count(name) == 1 and name not in _RESERVED else FACTOR + path: level_text(level)
        for name, (path, level) in zip(names, factors.items(), strict=True)
    }


def trial_files(row: Row) -> dict[str, str]:
    """Return the text files to attach to the run of a trial, by file name."""
    config = json.loads(row["config"]) if row["config"] else {}
    place = {name: row.get(name) for name in ("commit", "hardware", "device", *RESOURCES)}
    environment = place | {"versions": json.loads(row.get("versions") or "{}")}
    files = {"config.json": config | {"seed": row["seed"]}, "environment.json": environment}
    return {name: json.dumps(masked_tree(tree), indent=2) + "\n" for name, tree in files.items()}


def outcome_of(row: Row) -> str:
    """Return a text that changes when a trial is run again, so that its run is replaced."""
    return f"{row['status']} {row['started_at'].isoformat()} attempt {row['attempt']}"


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, _text(value)


def _text(value: Any) -> str:
    text = masked(value) if isinstance(value, str) else json.dumps(masked_tree(value), default=str)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
