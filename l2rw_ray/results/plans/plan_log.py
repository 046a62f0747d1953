"""The append-only log of a study's plans: what was planned when, and whether results existed."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from l2rw_ray.config import StudySpec
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.plain_files import check_plain

_NOT_PLANNED = {"seeds", "resources", "limits", "checkpoints", "keep", "report", "question"}
"""Fields of a study that decide neither which design points are run nor how they are judged."""


@dataclass(frozen=True)
class PlanEntry:
    """A plan as it was when a run began, or when it was registered.

    Attributes:
        time: When, in UTC, ISO 8601.
        plan: SHA-256 of the study without its seeds.
        seeds: Seeds of each design point.
        results: Trials that had ended by then.
        primary: The comparison that is to be tested first; empty where none was registered.
        looks: Number of times results are looked at.
        margin: Difference that does not matter, in the unit of the metric; None where none was registered.
        registered: Whether it was registered rather than run.
    """

    time: str
    plan: str
    seeds: tuple[int, ...]
    results: int
    primary: str = ""
    looks: int = 1
    margin: float | None = None
    registered: bool = False


@dataclass(frozen=True)
class PlanLog:
    """All entries, oldest first."""

    entries: tuple[PlanEntry, ...] = field(default=())

    @property
    def registration(self) -> PlanEntry | None:
        """The first plan that was registered; None if there is none."""
        return next((entry for entry in self.entries if entry.registered), None)

    @property
    def extensions(self) -> tuple[tuple[int, int], ...]:
        """Numbers of seeds before and after each time seeds were added once results existed."""
        runs = [entry for entry in self.entries if not entry.registered]
        return tuple(
            (len(before.seeds), len(after.seeds))
            for before, after in pairwise(runs)
            if after.results and set(after.seeds) > set(before.seeds)
        )


def plan_hash(spec: StudySpec) -> str:
    """Return the SHA-256 of what a study plans, its seeds apart."""
    dumped = {name: value for name, value in spec.model_dump(mode="json").items() if name not in _NOT_PLANNED}
    return hashlib.sha256(json.dumps(dumped, sort_keys=True).encode()).hexdigest()


def read_plan_log(folder: StudyFolder) -> PlanLog:
    """Return the log of a study; an empty one for a folder without.

    Raises:
        StudyFolderError: It is a link, or unreadable.
    """
    if not check_plain(folder.plan_log).is_file():
        return PlanLog()
    try:
        lines = folder.plan_log.read_text(encoding="utf-8").splitlines()
        return PlanLog(tuple(_entry(json.loads(line)) for line in lines if line.strip()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        remedy = "restore it, or delete it to begin a new one"
        raise StudyFolderError("plan log", folder.plan_log, "unreadable", remedy) from error


def log_plan(folder: StudyFolder, spec: StudySpec, results: int, **registered: Any) -> PlanEntry:
    """Append a plan to the log, unless it is the one of the last entry; nothing is ever removed.

    Args:
        folder: The study folder.
        spec: The study.
        results: Number of trials that have ended.
        registered: Further fields of a registered plan.

    Raises:
        StudyFolderError: The log cannot be written.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = PlanEntry(now, plan_hash(spec), spec.seed_values, results, looks=spec.looks, **registered)
    entries = read_plan_log(folder).entries
    alike = [each for each in entries if each.registered == entry.registered][-1:]
    if alike and replace(alike[0], time=entry.time, results=entry.results) == entry:
        return alike[0]
    lines = [json.dumps(asdict(each)) for each in (*entries, entry)]
    with folder.replaced(folder.plan_log) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return entry


def _entry(fields: Mapping[str, Any]) -> PlanEntry:
    entry = PlanEntry(**{**fields, "seeds": tuple(fields["seeds"])})
    texts = (entry.time, entry.plan, entry.primary)
    numbers = (entry.results, entry.looks, *entry.seeds)
    if not all(isinstance(text, str) for text in texts) or not all(type(each) is int for each in numbers):
        raise TypeError("fields of other types")
    if entry.margin is not None and not math.isfinite(entry.margin):
        raise ValueError("a margin that is no number")
    return entry
