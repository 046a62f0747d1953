"""What a study would run, before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.orchestration.plan import plan_study
from l2rw_ray.results.folder import StudyFolder


@dataclass(frozen=True)
class Outlook:
    """A study's plan and how it stands.

    Attributes:
        spec: The study.
        planned: All its trials.
        missing: Those without a final record.
        trial_s: Mean duration of one trial; None when nothing tells.
        basis: Where `trial_s` comes from.
    """

    spec: StudySpec
    planned: Sequence[PlannedTrial]
    missing: Sequence[PlannedTrial]
    trial_s: float | None
    basis: str

    @property
    def core_hours(self) -> float | None:
        """Core-hours of what is missing."""
        cores = self.spec.resources.workers * self.spec.resources.cpus_per_worker
        return None if self.trial_s is None else self.trial_s * len(self.missing) * cores / 3600

    def as_dict(self) -> dict[str, Any]:
        """The outlook as plain values, for JSON."""
        missing = {trial.trial_id for trial in self.missing}
        return {
            "study": self.spec.name,
            "question": self.spec.question,
            "trials": len(self.planned),
            "done": len(self.planned) - len(self.missing),
            "trial_s": self.trial_s,
            "estimate_from": self.basis,
            "core_hours": self.core_hours,
            "rows": [
                {
                    "trial_id": trial.trial_id,
                    "done": trial.trial_id not in missing,
                    "seed": trial.seed,
                    "factors": dict(trial.factors),
                    "config": trial.config.model_dump(mode="json"),
                }
                for trial in self.planned
            ],
        }


def outlook(spec: StudySpec, folder: StudyFolder, *, probe: bool = False) -> Outlook:
    """Plan a study and compare the plan with its ledger.

    Args:
        spec: The study.
        folder: Its folder, which need not exist.
        probe: Train one epoch of each arm here, to estimate the duration.

    Raises:
        InputError: The study is invalid, or the folder's ledger unreadable.
    """
    planned = plan_study(spec)
    missing: Sequence[PlannedTrial] = planned
    trial_s, basis = None, "nothing yet: --probe trains one epoch of each arm"
    if folder.trials.is_dir() and any(folder.trials.iterdir()):
        from l2rw_ray.results.reader import durations_s, finished
        from l2rw_ray.results.status import missing_trials

        missing = missing_trials(planned, finished(folder.path))
        durations = durations_s(folder.path)
        if durations:
            trial_s, basis = fmean(durations), f"{len(durations)} finished trials in {folder.path}"
    if probe and missing:
        from l2rw_ray.orchestration.trial_probe import probe_trials

        trial_s, basis = probe_trials(missing), "one epoch of each arm, timed here"
    return Outlook(spec, planned, missing, trial_s, basis)


def describe_plan(seen: Outlook) -> str:
    """The outlook as lines for people."""
    spec, factors = seen.spec, seen.spec.design.factors
    points = len(seen.planned) // len(spec.seed_values)
    lines = [f"{spec.name}: {spec.question}"]
    lines += [f"  {path}: {', '.join(str(level) for level in levels)}" for path, levels in factors.items()]
    lines.append(f"{points} design points × {len(spec.seed_values)} seeds = {len(seen.planned)} trials")
    lines.append(f"{len(seen.planned) - len(seen.missing)} done, {len(seen.missing)} to run")
    lines.append(f"estimated {_estimate(seen)} (from {seen.basis})")
    return "\n".join(lines)


def _estimate(seen: Outlook) -> str:
    if seen.trial_s is None or seen.core_hours is None:
        return "time unknown"
    return f"{seen.trial_s:.1f} s per trial, {seen.core_hours:.2f} core-hours in all"
