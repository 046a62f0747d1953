"""Summarise what a study would run, before anything runs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from l2rw_ray.config import PlannedTrial, Resources, Stage, StudySpec, TrialConfig
from l2rw_ray.config.design.ablation import AblationDesign
from l2rw_ray.config.design.grid import GridDesign
from l2rw_ray.config.design.minimum_effective import MinimumEffectiveDesign
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.config.functions.written_signature import check_written_params
from l2rw_ray.planning.placement import Nodes, allocate, group_count, sequential_rounds
from l2rw_ray.planning.plan import by_resources, plan_study, representative_trials
from l2rw_ray.planning.resumed_search import resume_search
from l2rw_ray.planning.source_check import check_table_sizes
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.plans.plan_log import plans_with
from l2rw_ray.results.status import missing_trials
from l2rw_ray.results.trial_result import TrialResult

if TYPE_CHECKING:
    from l2rw_ray.planning.primary_power import Detectable

_FEW_SEEDS = 8
"""Seeds up to which nothing is said of what can be detected."""


@dataclass(frozen=True)
class PlanSummary:
    """A study's plan and its progress.

    Attributes:
        spec: The study.
        planned: Its trials as far as they are known.
        missing: Trials without a final record.
        remaining: Largest number of further trials its design may ask for; None where only hours bound it.
        groups: Largest number of concurrent trials, by resources.
        nodes: Nodes of the cluster it is planned for.
        trial_s: Mean duration of one trial; None if unknown.
        basis: Source of `trial_s`.
        longest_s: Duration of the longest trial; None if unknown.
        detectable: Smallest true difference of the finding that the seeds detect with power 0.8, as a range;
            None while its deviation is too uncertain.
        variation: Which source of randomness makes most of the variation of the finding; None where it is
            not known.
        changes: What a run would change of the plan that was registered, or that has results already.
    """

    spec: StudySpec
    planned: Sequence[PlannedTrial]
    missing: Sequence[PlannedTrial]
    remaining: int | None
    groups: Mapping[Resources, int]
    nodes: Nodes
    trial_s: float | None = None
    basis: str = "nothing yet: --probe times a few steps of each kind of trial"
    detectable: "Detectable | None" = None
    variation: str | None = None
    changes: Sequence[str] = ()
    longest_s: float | None = None

    @property
    def done(self) -> int:
        """Trials with a final record."""
        return len(self.planned) - len(self.missing)

    @property
    def to_run(self) -> int | None:
        """Largest number of trials left to run; None where only hours bound it."""
        return None if self.remaining is None else len(self.missing) + self.remaining

    @property
    def duration_s(self) -> float | None:
        """Upper bound of the remaining wall time."""
        if self.trial_s is None or self.remaining is None:
            return None
        return self.trial_s * sequential_rounds(Counter(self._wanted), self.nodes)

    @property
    def groups_at_a_time(self) -> int:
        """Concurrent trials of all kinds at the start of a run."""
        if self.remaining is None or not self._wanted:
            return max(self.groups.values())
        return sum(allocate(Counter(self._wanted), {}, self.nodes).values())

    @property
    def core_hours(self) -> float | None:
        """Remaining core-hours."""
        return self._hours([own.workers * own.cpus_per_worker for own in self._wanted])

    @property
    def gpu_hours(self) -> float | None:
        """Remaining GPU-hours."""
        return self._hours([own.workers * own.gpus_per_worker for own in self._wanted])

    @property
    def over_limit(self) -> str | None:
        """Warning that a trial exceeds the study's limit; None where none is known to."""
        limit_s = self.spec.limits.duration_s
        if limit_s is None or self.longest_s is None or self.longest_s <= limit_s:
            return None
        return (
            f"limits.duration_s = {limit_s:g}: less than the {self.longest_s:.1f} s that a trial takes; "
            "raise it, or such trials fail"
        )

    @property
    def _wanted(self) -> list[Resources]:
        return [trial.resources for trial in self.missing] + [self.spec.resources] * (self.remaining or 0)

    def _hours(self, units: Sequence[float]) -> float | None:
        if self.trial_s is None or self.remaining is None:
            return None
        return self.trial_s * sum(units) / 3600

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as plain values, for JSON."""
        missing = {trial.trial_id for trial in self.missing}
        return {
            "study": self.spec.name,
            "question": self.spec.question,
            "trials": None if self.to_run is None else self.done + self.to_run,
            "done": self.done,
            "lanes": self.groups_at_a_time,  # name kept from release 0.1
            "trial_s": self.trial_s,
            "estimate_from": self.basis,
            "duration_s": self.duration_s,
            "core_hours": self.core_hours,
            "gpu_hours": self.gpu_hours,
            "detectable_difference": None if self.detectable is None else asdict(self.detectable),
            "variation": self.variation,
            "over_limit": self.over_limit,
            "changes": list(self.changes),
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


def summarise_plan(spec: StudySpec, folder: StudyFolder, *, probe: bool = False, nodes: Nodes) -> PlanSummary:
    """Plan a study and compare the plan with its ledger.

    Args:
        spec: The study.
        folder: Its folder, which need not exist.
        probe: Train a few steps of each kind of trial here, to estimate the duration.
        nodes: Nodes of the cluster it is planned for.

    Raises:
        InputError: The study is invalid, does not fit the cluster, or the folder is a file or its ledger
            unreadable.
    """
    folder.check_not_a_file()
    planned: Sequence[PlannedTrial] = plan_study(spec)
    remaining: int | None = 0
    ledger = _ledger(spec, folder)
    match spec.design:
        case MinimumEffectiveDesign() as design:
            from l2rw_ray.planning.strategies.minimum_effective import MinimumEffectiveStrategy

            strategy = MinimumEffectiveStrategy(spec, design, ledger)
            planned = strategy.planned
            remaining = strategy.remaining - len(missing_trials(planned, ledger))
        case GridDesign() | AblationDesign() if spec.looks > 1:
            from l2rw_ray.planning.strategies.planned_looks import PlannedLooksStrategy

            plans = plans_with(spec, folder, len(ledger))
            looking = PlannedLooksStrategy(spec, planned, ledger, plans)
            planned = looking.planned
            remaining = looking.remaining - len(missing_trials(planned, ledger))
        case SearchDesign() | TunedComparisonDesign():
            planned = resume_search(spec, folder)
            most = spec.design.max_trials(len(spec.all_seeds) + len(spec.retest_seeds))
            remaining = None if most is None else max(most - len(planned), 0)
            if spec.looks > 1 and _has_ended(spec, planned, ledger, folder):
                remaining = 0
    missing = missing_trials(planned, ledger)
    known = _from_ledger(spec, planned, ledger, folder)
    samples = missing or planned or representative_trials(spec)
    check_samples(samples)
    if probe and (missing or remaining != 0):
        from l2rw_ray.planning.timing_probe import probe_trials

        found = probe_trials(samples)
        known |= {"trial_s": found.trial_s, "basis": found.basis, "longest_s": found.longest_s}
    groups = {
        own: group_count(own, nodes, None if remaining is None else len(group) + remaining, None)
        for own, group in by_resources(samples).items()
    }
    changes = _changes(spec, folder, len(ledger))
    return PlanSummary(spec, planned, missing, remaining, groups, nodes, changes=changes, **known)


def _changes(spec: StudySpec, folder: StudyFolder, results: int) -> Sequence[str]:
    """Return what a run would change of an earlier plan, as the report will say it."""
    if not folder.plan_log.is_file() and not folder.plan_file.is_file():
        return ()
    from l2rw_ray.report.provenance.plan_history import plan_history

    return plan_history(plans_with(spec, folder, results), spec).warnings


def _has_ended(
    spec: StudySpec,
    planned: Sequence[PlannedTrial],
    ledger: Mapping[str, TrialResult],
    folder: StudyFolder,
) -> bool:
    """Return whether the last look of a tuned comparison so far is over, and shows its finding."""
    from l2rw_ray.planning.primary_comparison import is_shown

    finals = [trial for trial in planned if trial.stage is Stage.FINAL]
    is_over = len({trial.seed for trial in finals}) in spec.look_sizes and not missing_trials(finals, ledger)
    return is_over and is_shown(spec, finals, ledger, plans_with(spec, folder, len(ledger)))


def check_samples(samples: Sequence[PlannedTrial]) -> None:
    """Check what can be known without loading data and weights, or running custom code.

    Raises:
        ConfigError: A set is larger than its table, a pattern fits no parameter, or a function has no such
            parameter.
    """
    check_table_sizes(samples)
    check_written_params(samples)
    optims = (trial.config.optim for trial in samples if isinstance(trial.config, TrialConfig))
    if any(optim.groups or optim.further for optim in optims):
        from l2rw_ray.training.optim.pattern_check import check_patterns  # torch takes its time

        check_patterns(samples)


def _ledger(spec: StudySpec, folder: StudyFolder) -> Mapping[str, TrialResult]:
    if not folder.trials.is_dir() or not any(folder.trials.iterdir()):
        return {}
    from l2rw_ray.results.reader import trial_results  # pyarrow takes its time

    return trial_results(folder.path, [spec.objective.metric])


def _from_ledger(
    spec: StudySpec, planned: Sequence[PlannedTrial], ledger: Mapping[str, TrialResult], folder: StudyFolder
) -> dict[str, Any]:
    """Return estimates from finished trials: their duration, and what the finding's seeds can detect."""
    completed = [
        trial
        for trial in planned
        if trial.trial_id in ledger and ledger[trial.trial_id].status == "completed"
    ]
    if not completed:
        return {}
    durations_s = [ledger[trial.trial_id].duration_s for trial in completed]
    known: dict[str, Any] = {
        "trial_s": fmean(durations_s),
        "longest_s": max(durations_s),
        "basis": f"{len(completed)} finished trials in {folder.address}",
    }
    if len({trial.seed for trial in completed if trial.stage is Stage.FINAL}) > _FEW_SEEDS:
        from l2rw_ray.planning.primary_power import detectable_range  # scipy takes its time

        known["detectable"] = detectable_range(spec, planned, folder)
    stages = {trial.stage for trial in completed}
    if {Stage.FINAL, Stage.REDRAWN} <= stages:
        from l2rw_ray.planning.variation import variation_advice

        known["variation"] = variation_advice(folder)
    return known
