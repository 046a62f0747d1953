"""What of a study is done, from its ledger."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from l2rw_ray.config import PlannedTrial
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.reader import finished

STATUSES = ("completed", "stopped", "failed", "missing")
_NO_RECORD = ("missing", None)


def missing_trials(
    planned: Sequence[PlannedTrial],
    ledger: Mapping[str, tuple[str, str | None]],
    *,
    retry_failed: bool = False,
) -> list[PlannedTrial]:
    """The planned trials that a run would still do.

    Args:
        planned: The study's trials.
        ledger: Status and stop reason by trial, as `finished` returns them.
        retry_failed: Whether a failed trial counts as missing; an interrupted one always does.
    """
    wanted = {"missing", "failed"} if retry_failed else {"missing"}
    return [trial for trial in planned if _status(*ledger.get(trial.trial_id, _NO_RECORD)) in wanted]


def count_statuses(directory: Path) -> dict[str, int]:
    """The current plan's trials by status; `missing` for those that a run would still do.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file is unreadable.
    """
    plan, ledger = StudyFolder(directory).read_plan(), finished(directory)
    counts = Counter(_status(*ledger.get(row.trial_id, _NO_RECORD)) for row in plan)
    return {status: counts[status] for status in STATUSES}


def _status(status: str, reason: str | None) -> str:
    """An interrupted trial goes on in the next run: it is not done."""
    return "missing" if reason == "interrupted" else status


def describe_status(directory: Path) -> str:
    """The counts as lines for people."""
    counts = count_statuses(directory)
    spec = StudyFolder(directory).read_spec()
    lines = [f"{spec.name}: {spec.question}", f"{sum(counts.values())} trials planned"]
    return "\n".join([*lines, *(f"  {count:5d} {status}" for status, count in counts.items() if count)])
