"""What a study would run, before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from l2rw_ray.config import PlannedTrial, Resources, StudySpec
from l2rw_ray.orchestration.durations import duration_text
from l2rw_ray.orchestration.placement import Nodes, lane_count
from l2rw_ray.orchestration.plan import by_resources, plan_study
from l2rw_ray.results.folder import StudyFolder


@dataclass(frozen=True)
class Outlook:
    """A study's plan and how it stands.

    Attributes:
        spec: The study.
        planned: All its trials.
        missing: Those without a final record.
        lanes: Trials at a time, by what they run on.
        trial_s: Mean duration of one trial; None when nothing tells.
        basis: Where `trial_s` comes from.
        detectable: Smallest true difference of the objective between two design points that so many
            seeds find in four cases of five; None while its variance is not known.
    """

    spec: StudySpec
    planned: Sequence[PlannedTrial]
    missing: Sequence[PlannedTrial]
    lanes: Mapping[Resources, int]
    trial_s: float | None = None
    basis: str = "nothing yet: --probe trains one epoch of each arm"
    detectable: float | None = None

    @property
    def duration_s(self) -> float | None:
        """Wall time of what is missing."""
        if self.trial_s is None:
            return None
        groups = by_resources(self.missing)
        return self.trial_s * sum(-(-len(group) // self.lanes[own]) for own, group in groups.items())

    @property
    def core_hours(self) -> float | None:
        """Core-hours of what is missing."""
        return self._hours([own.workers * own.cpus_per_worker for own in self._wanted])

    @property
    def gpu_hours(self) -> float | None:
        """GPU-hours of what is missing."""
        return self._hours([own.workers * own.gpus_per_worker for own in self._wanted])

    @property
    def _wanted(self) -> list[Resources]:
        return [trial.resources for trial in self.missing]

    def _hours(self, units: Sequence[float]) -> float | None:
        return None if self.trial_s is None else self.trial_s * sum(units) / 3600

    def as_dict(self) -> dict[str, Any]:
        """The outlook as plain values, for JSON."""
        missing = {trial.trial_id for trial in self.missing}
        return {
            "study": self.spec.name,
            "question": self.spec.question,
            "trials": len(self.planned),
            "done": len(self.planned) - len(self.missing),
            "lanes": max(self.lanes.values()),
            "trial_s": self.trial_s,
            "estimate_from": self.basis,
            "duration_s": self.duration_s,
            "core_hours": self.core_hours,
            "gpu_hours": self.gpu_hours,
            "detectable_difference": self.detectable,
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


def outlook(spec: StudySpec, folder: StudyFolder, *, probe: bool = False, nodes: Nodes) -> Outlook:
    """Plan a study and compare the plan with its ledger.

    Args:
        spec: The study.
        folder: Its folder, which need not exist.
        probe: Train one epoch of each arm here, to estimate the duration.
        nodes: Those of the cluster it is planned for.

    Raises:
        InputError: The study is invalid, does not fit the cluster, or the folder's ledger is
            unreadable.
    """
    planned = plan_study(spec)
    missing: Sequence[PlannedTrial] = planned
    known: dict[str, Any] = {}
    if folder.trials.is_dir() and any(folder.trials.iterdir()):
        from l2rw_ray.results.reader import finished
        from l2rw_ray.results.status import missing_trials

        missing = missing_trials(planned, finished(folder.path))
        known = _from_ledger(spec, folder, planned)
    if probe and missing:
        from l2rw_ray.orchestration.trial_probe import probe_trials

        known |= {"trial_s": probe_trials(missing), "basis": "one epoch of each arm, timed here"}
    groups = by_resources(missing or planned)
    lanes = {own: lane_count(own, nodes, len(group), None) for own, group in groups.items()}
    return Outlook(spec, planned, missing, lanes, **known)


def _from_ledger(spec: StudySpec, folder: StudyFolder, planned: Sequence[PlannedTrial]) -> dict[str, Any]:
    """What earlier trials tell: how long one takes, and how much the objective varies."""
    from l2rw_ray.results.reader import completed_figures
    from l2rw_ray.statistics import detectable_difference, paired_deviation

    ledger = completed_figures(folder.path, spec.objective.metric)
    figures = {trial.trial_id: ledger[trial.trial_id] for trial in planned if trial.trial_id in ledger}
    if not figures:
        return {}
    known: dict[str, Any] = {
        "trial_s": fmean(duration_s for duration_s, _ in figures.values()),
        "basis": f"{len(figures)} finished trials in {folder.path}",
    }
    points: dict[str, dict[int, float]] = {}
    for trial in planned:
        _, value = figures.get(trial.trial_id, (0.0, None))
        if value is not None:
            points.setdefault(str(sorted(trial.factors.items())), {})[trial.seed] = value
    deviation, seeds = paired_deviation(list(points.values())), len(spec.seed_values)
    if deviation is not None and seeds > 1:
        known["detectable"] = detectable_difference(deviation, seeds)
    return known


def describe_plan(seen: Outlook) -> str:
    """The outlook as lines for people."""
    spec, done = seen.spec, len(seen.planned) - len(seen.missing)
    points = len(seen.planned) // len(spec.seed_values)
    lines = [f"{spec.name}: {spec.question}"]
    lines += [f"  {path}: {', '.join(map(str, levels))}" for path, levels in _levels(seen.planned).items()]
    lines.append(f"{points} design points × {len(spec.seed_values)} seeds = {len(seen.planned)} trials")
    lines.append(f"{done} done, {len(seen.missing)} to run, {_at_a_time(seen.lanes)} at a time")
    lines.append(f"estimated {_estimate(seen)} (from {seen.basis})")
    if seen.detectable is not None:
        lines.append(f"{len(spec.seed_values)} seeds find {_difference(seen)} in four cases of five")
    return "\n".join(lines)


def _at_a_time(lanes: Mapping[Resources, int]) -> str:
    if len(lanes) == 1:
        return str(next(iter(lanes.values())))
    return ", ".join(
        f"{count} of {own.workers} worker{'s' * (own.workers > 1)}" for own, count in lanes.items()
    )


def _difference(seen: Outlook) -> str:
    metric = seen.spec.objective.metric
    name = metric.replace("_", " ")
    if metric.endswith("accuracy"):
        return f"differences of {100 * (seen.detectable or 0):.1f} points of {name}"
    return f"differences of {seen.detectable:.2g} in {name}"


def _levels(planned: Sequence[PlannedTrial]) -> dict[str, list[Any]]:
    """Levels by factor, as they are run, in plan order."""
    levels: dict[str, list[Any]] = {}
    for trial in planned:
        for path, level in trial.factors.items():
            seen = levels.setdefault(path, [])
            if level not in seen:
                seen.append(level)
    return levels


def _estimate(seen: Outlook) -> str:
    if seen.trial_s is None or seen.duration_s is None:
        return "time unknown"
    hours = f"{seen.core_hours:.2f} core-hours"
    if seen.gpu_hours:
        hours += f", {seen.gpu_hours:.2f} GPU-hours"
    return f"{seen.trial_s:.1f} s per trial, {duration_text(seen.duration_s)} in all, {hours}"
