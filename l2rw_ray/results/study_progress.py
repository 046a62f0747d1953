"""How far a study is, read from its folder while another process may be running it."""

import math
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from l2rw_ray.config import StudySpec
from l2rw_ray.config.design.kinds import SearchingDesign
from l2rw_ray.config.functions.metrics import is_percent
from l2rw_ray.config.planned_trial import trial_label
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.plans.plan_rows import PlanRow
from l2rw_ray.results.reader import read_study
from l2rw_ray.results.remote.claim import STALE_S
from l2rw_ray.results.remote.store_files import StoreFiles
from l2rw_ray.results.status import STATUSES
from l2rw_ray.results.trial_result import TrialResult

_RECENT = 20
"""Trials that ended last, from whose pace the time left is estimated."""


@dataclass(frozen=True)
class BestTrial:
    """The completed trial with the best value of the metric that selects.

    Attributes:
        trial: Its name.
        metric: The metric.
        value: Its value.
        is_percent: Whether the study declares the metric as a percentage; None where it does not declare it.
    """

    trial: str
    metric: str
    value: float
    is_percent: bool | None = None


@dataclass(frozen=True)
class FailedTrial:
    """The trial that failed last.

    Attributes:
        trial: Its name.
        error: Its error.
        log: File with its output, relative to the study folder; None if there is none.
    """

    trial: str
    error: str
    log: str | None


@dataclass(frozen=True)
class StudyProgress:
    """State of a study and of the run that works on it, if any.

    Attributes:
        name: Name of the study.
        question: Its question.
        planned: Number of trials of the current plan.
        at_most: Largest number of trials that a search may ask for; None if all are planned.
        counts: Planned trials by status; `missing` are those that a run would still do.
        others: Trials in the ledger of settings that are no longer in the study.
        run: Process and machine of the run; None if none is known to be active.
        under_way: Names of trials that the active run has begun and not ended.
        best: The best trial so far.
        failure: The last failure.
        left_s: Estimated seconds that the active run still takes; None if unknown.
    """

    name: str
    question: str
    planned: int
    at_most: int | None
    counts: Mapping[str, int]
    others: int
    run: str | None
    under_way: tuple[str, ...]
    best: BestTrial | None
    failure: FailedTrial | None
    left_s: float | None

    @property
    def done(self) -> int:
        """Number of planned trials that have ended."""
        return self.planned - self.counts["missing"]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, as `l2rw-ray status --json` prints them."""
        return asdict(self)


def read_progress(folder: StudyFolder) -> StudyProgress:
    """Return the progress of a study from its ledger, its locks and its logs.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    spec, plan = folder.read_spec(), folder.read_plan()
    rows = {row["trial_id"]: row for row in _rows(folder.path)}
    names = {each.trial_id: _name(spec, each) for each in plan}
    ended = [rows[trial_id] for trial_id in names if trial_id in rows and _is_final(rows[trial_id])]
    counts = Counter(row["status"] for row in ended) | Counter(missing=len(names) - len(ended))
    run = _active_run(folder)
    return StudyProgress(
        name=spec.name,
        question=spec.question,
        planned=len(names),
        at_most=_at_most(spec, len(names)),
        counts={status: counts[status] for status in STATUSES},
        others=len(rows.keys() - names.keys()),
        run=run,
        under_way=_under_way(folder, names, {row["trial_id"] for row in ended}) if run else (),
        best=_best(spec, names, ended),
        failure=_last_failure(names, ended),
        left_s=_left_s(ended, counts["missing"]) if run else None,
    )


def _rows(directory: Path) -> list[dict[str, Any]]:
    table = read_study(directory, everything=True)
    wanted = (
        *("trial_id", "status", "reason", "error", "log", "started_at", "duration_s", "metrics"),
        *(name for name in table.column_names if name.startswith("validation_")),
    )
    rows: list[dict[str, Any]] = table.select(wanted).to_pylist()
    return rows


def _name(spec: StudySpec, row: PlanRow) -> str:
    method = row.factors.get("method.name", spec.trial.title)
    return trial_label(str(method), row.factors, f"seed {row.seed}")


def _is_final(row: Mapping[str, Any]) -> bool:
    return TrialResult(row["status"], row["reason"]).is_final


def _at_most(spec: StudySpec, planned: int) -> int | None:
    if not isinstance(spec.design, SearchingDesign):
        return None
    most = spec.design.max_trials(len(spec.all_seeds) + len(spec.retest_seeds))
    return most if most is not None and most > planned else None


def _best(spec: StudySpec, names: Mapping[str, str], ended: Sequence[Mapping[str, Any]]) -> BestTrial | None:
    metric, sign = spec.objective.metric, 1 if spec.objective.mode == "max" else -1
    values = {
        row["trial_id"]: float(value)
        for row in ended
        if row["status"] == "completed"
        and (value := dict(row["metrics"] or ()).get(metric, row.get(metric))) is not None
    }
    if not values:
        return None
    best = max(values, key=lambda trial_id: sign * values[trial_id])
    return BestTrial(names[best], metric, values[best], is_percent(metric, spec.metrics))


def _last_failure(names: Mapping[str, str], ended: Sequence[Mapping[str, Any]]) -> FailedTrial | None:
    failed = [row for row in ended if row["status"] in ("failed", "diverged")]
    if not failed:
        return None
    last = max(failed, key=_end_of)
    return FailedTrial(names[last["trial_id"]], last["error"] or "no reason recorded", last["log"])


def _end_of(row: Mapping[str, Any]) -> float:
    """Return when a trial ended, in seconds; a damaged ledger may hold times that no date can."""
    start: datetime = row["started_at"]
    return start.timestamp() + (row["duration_s"] or 0.0)


def _left_s(ended: Sequence[Mapping[str, Any]], missing: int) -> float | None:
    """Return the time that missing trials take at the pace of those that ended last, without pauses."""
    recent = sorted(ended, key=_end_of)[-_RECENT:]
    if len(recent) < 2 or not missing:
        return None
    longest = max(row["duration_s"] or 0.0 for row in recent)
    gaps = [_end_of(later) - _end_of(earlier) for earlier, later in pairwise(recent)]
    paced = [gap for gap in gaps if gap <= 2 * longest]  # a longer one is a pause between two runs
    left = missing * fmean(paced) if paced else math.nan
    return left if math.isfinite(left) else None


def _under_way(folder: StudyFolder, names: Mapping[str, str], ended: set[str]) -> tuple[str, ...]:
    """Return the trials that have a log or a checkpoint, and no end."""
    begun = {path.name.partition(".")[0] for path in folder.logs.glob("*.log")}
    with suppress(StudyFolderError):  # the store does not list them
        begun |= folder.with_checkpoints()
    return tuple(name for trial_id, name in names.items() if trial_id in begun - ended)


def _active_run(folder: StudyFolder) -> str | None:
    """Return which process on which machine runs the study; takes no lock, which could stop a run."""
    holder = ""
    with suppress(OSError):
        holder = (folder.path / ".lock").read_text(encoding="utf-8").strip()
    if holder and _is_alive(holder):
        return holder
    return _claimed_by(folder) if folder.store is not None else None


def _is_alive(holder: str) -> bool:
    """Return whether `process N on HOST` may be alive: a killed run leaves its name in the lock."""
    _, number, _, host = (*holder.split(" ", 3), "", "", "", "")[:4]
    if host != socket.gethostname() or not number.isdecimal():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _claimed_by(folder: StudyFolder) -> str | None:
    """Return the machine whose claim on the study in the store was renewed lately."""
    assert folder.store is not None
    claims = StoreFiles(folder.store.location, ".claims")
    with suppress(OSError):
        for info in claims.listed().values():
            if time.time() - info.mtime_ns / 1e9 < STALE_S:
                return "another machine"
    return None
