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
from l2rw_ray.config.seeds import MAX_SEEDS
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
        seeds: Seeds of each design point; of planned looks those of the first.
        results: Trials that had ended by then.
        primary: The comparison that is to be tested first; empty where none was registered.
        looks: Number of times results are looked at.
        margin: Difference that does not matter, in the unit of the metric; None where none was registered.
        registered: Whether it was registered rather than run.
        look_sizes: Number of seeds at each planned look; empty without planned looks, and in older logs.
    """

    time: str
    plan: str
    seeds: tuple[int, ...]
    results: int
    primary: str = ""
    looks: int = 1
    margin: float | None = None
    registered: bool = False
    look_sizes: tuple[int, ...] = ()

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of the last look, if looks are planned; else the seeds."""
        return tuple(range(self.look_sizes[-1])) if self.look_sizes else self.seeds

    def has_other_looks(self, other: "PlanEntry") -> bool:
        """Return whether another plan looks at results at other numbers of seeds, as far as is known."""
        is_known = all(each.look_sizes or each.looks == 1 for each in (self, other))
        return self.looks != other.looks or (is_known and self.look_sizes != other.look_sizes)


@dataclass(frozen=True)
class PlanLog:
    """All entries, oldest first."""

    entries: tuple[PlanEntry, ...] = field(default=())

    @property
    def registration(self) -> PlanEntry | None:
        """The first plan that was registered; None if there is none."""
        return next((entry for entry in self.entries if entry.registered), None)

    @property
    def extensions(self) -> tuple[tuple[PlanEntry, PlanEntry], ...]:
        """Plans before and after each time seeds were added, or looks changed, once results existed."""
        return tuple(
            (before, after)
            for before, after in self._changes
            if set(after.seeds) - set(before.seeds) or after.has_other_looks(before)
        )

    @property
    def dropped(self) -> tuple[int, ...]:
        """Seeds that had been planned when results existed, and are not in the last plan."""
        last = {*self._changes[-1][1].all_seeds} if self._changes else set()
        return tuple(sorted({seed for before, _ in self._changes for seed in before.all_seeds} - last))

    @property
    def _changes(self) -> list[tuple[PlanEntry, PlanEntry]]:
        """Plans that were run one after the other, the later one when results existed."""
        runs = [entry for entry in self.entries if not entry.registered]
        return [(before, after) for before, after in pairwise(runs) if after.results]


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


def plans_with(spec: StudySpec, folder: StudyFolder, results: int) -> PlanLog:
    """Return the log as a run of a study would leave it; that of an older folder begins with its last plan.

    Args:
        spec: The study as it is now.
        folder: Its folder.
        results: Number of trials that have ended.

    Raises:
        StudyFolderError: The log is a link, or unreadable.
    """
    entries = read_plan_log(folder).entries
    if not entries and folder.plan_file.is_file():
        entries = (plan_entry(folder.read_spec(), 0),)
    return PlanLog((*entries, plan_entry(spec, results)))


def plan_entry(spec: StudySpec, results: int, **registered: Any) -> PlanEntry:
    """Return a study's plan as it is now.

    Args:
        spec: The study.
        results: Number of trials that have ended.
        registered: Further fields of a registered plan.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    sizes = spec.look_sizes if spec.looks > 1 else ()
    plan = now, plan_hash(spec), spec.seed_values, results
    return PlanEntry(*plan, looks=spec.looks, look_sizes=sizes, **registered)


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
    entry = plan_entry(spec, results, **registered)
    entries = read_plan_log(folder).entries
    alike = [each for each in entries if each.registered == entry.registered][-1:]
    if alike and replace(alike[0], time=entry.time, results=entry.results) == entry:
        return alike[0]
    lines = [json.dumps(asdict(each)) for each in (*entries, entry)]
    with folder.replaced(folder.plan_log) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return entry


def _entry(fields: Mapping[str, Any]) -> PlanEntry:
    sizes = tuple(fields.get("look_sizes", ()))
    entry = PlanEntry(**{**fields, "seeds": tuple(fields["seeds"]), "look_sizes": sizes})
    texts = (entry.time, entry.plan, entry.primary)
    numbers = (entry.results, entry.looks, *entry.seeds, *sizes)
    if not all(isinstance(text, str) for text in texts) or not all(type(each) is int for each in numbers):
        raise TypeError("fields of other types")
    if any(size > MAX_SEEDS for size in sizes):
        raise ValueError("looks at more seeds than a study may have")
    if entry.margin is not None and not math.isfinite(entry.margin):
        raise ValueError("a margin that is no number")
    return entry
