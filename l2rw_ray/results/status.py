"""The state of a study, from its ledger."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from l2rw_ray.config import PlannedTrial
from l2rw_ray.config.design.kinds import SearchingDesign
from l2rw_ray.results.folder import PlanRow, StudyFolder
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.trial_result import TrialResult

STATUSES = ("completed", "stopped", "failed", "missing")
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
        retry_failed: Whether a failed trial counts as missing; an interrupted one always does.
    """
    wanted = {"missing", "failed"} if retry_failed else {"missing"}
    return [trial for trial in planned if _status(ledger.get(trial.trial_id, _NO_RECORD)) in wanted]


def count_statuses(directory: Path) -> dict[str, int]:
    """Count the current plan's trials by status; `missing` are those that a run would still do.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    return _counts(StudyFolder(directory).read_plan(), trial_results(directory))


def _counts(plan: Sequence[PlanRow], ledger: Mapping[str, TrialResult]) -> dict[str, int]:
    counts = Counter(_status(ledger.get(row.trial_id, _NO_RECORD)) for row in plan)
    return {status: counts[status] for status in STATUSES}


def _status(result: TrialResult) -> str:
    return result.status if result.is_final else "missing"


def describe_status(directory: Path) -> str:
    """Return the counts as readable lines."""
    folder = StudyFolder(directory)
    spec, plan, ledger = folder.read_spec(), folder.read_plan(), trial_results(directory)
    planned, counts = {row.trial_id for row in plan}, _counts(plan, ledger)
    others = len(ledger.keys() - planned)
    lines = [f"{spec.name}: {spec.question}", f"{len(planned)} trials planned"]
    lines += [f"  {count:5d} {status}" for status, count in counts.items() if count]
    if isinstance(spec.design, SearchingDesign):
        most = spec.design.max_trials(len(spec.seed_values))
        if most is not None and most > len(planned):
            lines.append(f"at most {most} by the search's budget")
    if others:
        lines.append(f"{others} more in the ledger, of settings that are no longer in the study")
    return "\n".join(lines)
