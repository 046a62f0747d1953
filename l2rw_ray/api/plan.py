"""The plan of a study, which shows itself as text and as a table."""

from dataclasses import dataclass
from typing import Any

from l2rw_ray.api import html
from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.planned_trial import level_text
from l2rw_ray.orchestration.cluster.nodes import nodes_of
from l2rw_ray.planning.plan_summary import PlanSummary, summarise_plan
from l2rw_ray.planning.plan_text import plan_text
from l2rw_ray.printable import printable
from l2rw_ray.results.opening import read_study_folder


@dataclass(frozen=True, repr=False)
class StudyPlan:
    """What a study would run.

    Attributes:
        summary: Its trials, which of them are done, and how long the rest takes.
    """

    summary: PlanSummary

    @property
    def trials(self) -> tuple[PlannedTrial, ...]:
        """The trials that are known beforehand, those done included."""
        return tuple(self.summary.planned)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, as `l2rw-ray plan --json` prints it."""
        return self.summary.as_dict()

    def __repr__(self) -> str:
        return printable(plan_text(self.summary))

    def _repr_html_(self) -> str:
        first, *_, last = lines = plan_text(self.summary).splitlines()
        rest = lines[1:] if last is not first else []
        return (
            html.heading(first.partition(":")[0], first.partition(":")[2]) + self._table() + html.lines(rest)
        )

    def _table(self) -> str:
        """Return a row per design point: its levels, its seeds, and how many of them are done."""
        missing = {trial.trial_id for trial in self.summary.missing}
        points: dict[str, list[PlannedTrial]] = {}
        for trial in self.summary.planned:
            points.setdefault(str(dict(trial.factors)), []).append(trial)
        paths = list(dict.fromkeys(path for trial in self.summary.planned for path in trial.factors))
        if not paths:
            return ""
        rows = [
            (
                *(
                    level_text(trials[0].factors[path]) if path in trials[0].factors else "–"
                    for path in paths
                ),
                ", ".join(map(str, dict.fromkeys(trial.seed for trial in trials))),
                f"{sum(trial.trial_id not in missing for trial in trials)} of {len(trials)}",
            )
            for trials in points.values()
        ]
        return html.table((*paths, "seeds", "done"), rows)


def plan_of(spec: StudySpec, out: str, *, probe: bool, address: str | None) -> StudyPlan:
    """Plan a study; see `Study.plan`."""
    with read_study_folder(out) as folder:
        return StudyPlan(summarise_plan(spec, folder, probe=probe, nodes=nodes_of(address)))
