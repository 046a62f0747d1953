"""The state of a study, from its ledger."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from l2rw_ray.config import PlannedTrial
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.plans.plan_rows import PlanRow
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.trial_result import TrialResult

STATUSES = ("completed", "stopped", "diverged", "failed", "missing")
_NO_RECORD = TrialResult("missing")


def missing_trials(
    planned: Sequence[PlannedTrial],
    ledger: Mapping[str, TrialResult],
    *,
    retry_failed: bool = False,
) -> list[PlannedTrial]:
    """Return the planned trials that a run would still do.

    Args:
        planned: The study's trials.
        ledger: How trials ended, as `trial_results` returns it.
        retry_failed: Whether a failed trial counts as missing; an interrupted one always does, a diverged
            one never: to repeat it until it completes would hide that the method diverges.
    """
    wanted = {"missing", "failed"} if retry_failed else {"missing"}
    return [trial for trial in planned if _status(ledger.get(trial.trial_id, _NO_RECORD)) in wanted]


def count_statuses(directory: Path) -> dict[str, int]:
    """Count the current plan's trials by status; `missing` are those that a run would still do.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    return _counts(StudyFolder(directory).read_plan(), trial_results(directory))


def count_ended(directory: Path) -> int:
    """Count the current plan's trials that a run would not do again.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    return sum(number for status, number in count_statuses(directory).items() if status != "missing")


def _counts(plan: Sequence[PlanRow], ledger: Mapping[str, TrialResult]) -> dict[str, int]:
    counts = Counter(_status(ledger.get(row.trial_id, _NO_RECORD)) for row in plan)
    return {status: counts[status] for status in STATUSES}


def _status(result: TrialResult) -> str:
    return result.status if result.is_final else "missing"
