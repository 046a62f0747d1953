"""The rows of `plan.json`: the trials that a study plans."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2rw_ray.config import PlannedTrial, Resources, Stage
from l2rw_ray.limits import MAX_INTEGER, MAX_PLAN_BYTES

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
"""A trial's id, which is part of the names of its files."""


@dataclass(frozen=True)
class PlanRow:
    """One trial of the study's current plan.

    Attributes:
        trial_id: Its fingerprint.
        seed: Its seed; rows of equal seed are paired.
        factors: Level of each design factor, by path relative to `trial`.
        resources: What it runs on.
        stage: Whether its test metrics count, or it was only tried to choose a configuration.
        search: Key of the search that asked for it; None for other designs and for plans of release 0.1.
        config: Configuration as plain values, of a trial that a search asked for.
    """

    trial_id: str
    seed: int
    factors: Mapping[str, Any]
    resources: Resources
    stage: Stage = Stage.FINAL
    search: str | None = None
    config: Mapping[str, Any] | None = None


def text_of_plan(planned: Sequence[PlannedTrial]) -> str:
    """Return the content of `plan.json`."""
    return json.dumps([_plain_row(trial) for trial in planned], indent=1)


def plan_rows(plan: Path) -> tuple[PlanRow, ...]:
    """Return the rows of a plan, in order.

    Raises:
        OSError: It cannot be read.
        ValueError, KeyError, TypeError, AttributeError, RecursionError: It is no plan.
    """
    size = plan.stat().st_size
    if size > MAX_PLAN_BYTES:
        raise ValueError(f"{size:,} bytes")
    known: dict[str, Resources] = {}
    return tuple(_plan_row(row, known) for row in json.loads(plan.read_text(encoding="utf-8")))


def is_trial_id(name: object) -> bool:
    """Return whether a name is a trial's fingerprint, and so no path."""
    return isinstance(name, str) and _FINGERPRINT.fullmatch(name) is not None


def _plain_row(trial: PlannedTrial) -> dict[str, Any]:
    row = {
        "trial_id": trial.trial_id,
        "factors": dict(trial.factors),
        "seed": trial.seed,
        "resources": trial.resources.model_dump(mode="json"),
        "stage": trial.stage.value,
    }
    if trial.search is None:  # its configuration follows from the study
        return row
    return {**row, "search": trial.search, "config": trial.config.model_dump(mode="json")}


def _plan_row(row: Mapping[str, Any], known: dict[str, Resources]) -> PlanRow:
    """Return a row with the resources of an earlier one where they are the same, as in nearly all."""
    if not is_trial_id(row["trial_id"]):
        raise ValueError(f"{row['trial_id']!r} is no trial id")
    if type(row["seed"]) is not int or not 0 <= row["seed"] <= MAX_INTEGER:
        raise ValueError(f"{row['seed']!r} is no seed")
    if not isinstance(row["factors"], dict) or not isinstance(row.get("search"), str | None):
        raise TypeError("it has no factors, or its search is no text")
    key = str(row["resources"])
    if key not in known:
        known[key] = Resources.model_validate(row["resources"])
    return PlanRow(
        trial_id=row["trial_id"],
        seed=row["seed"],
        factors=row["factors"],
        resources=known[key],
        stage=Stage(row.get("stage", Stage.FINAL)),
        search=row.get("search"),
        config=row["config"] if "search" in row else None,
    )
