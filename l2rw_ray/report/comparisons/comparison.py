"""The paired difference between two levels of a factor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from l2rw_ray.report.comparisons.evidence import Evidence, assess
from l2rw_ray.report.design_points.labels import HEADLINE, MetricSpec, metric_spec_for
from l2rw_ray.report.design_points.runs import Runs
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.statistics import Difference


@dataclass(frozen=True)
class Comparison:
    """Paired difference of the headline metric between two levels of the contrasted factor.

    Attributes:
        treatment: Name of the level that is compared.
        control: Name of the level it is compared with.
        setting: Levels of the other factors; None for the average over settings.
        settings: Number of settings averaged.
        planned_settings: Number of settings in the design.
        difference: Treatment minus control, in the unit of the ledger.
        metric: Name of the metric.
        evidence: Further evidence, corrected for the family of comparisons.
        survivors: The difference over seeds where nothing diverged; None where nothing diverged at all.
        basis: What the difference is between, where the names of the levels do not say it all.
        runs: How the seeds of treatment and control ended; of averages over settings only.
    """

    treatment: str
    control: str
    setting: Setting | None
    settings: int
    planned_settings: int
    difference: Difference
    metric: str = HEADLINE
    evidence: Evidence | None = None
    survivors: Difference | None = None
    basis: str = ""
    runs: tuple[Runs, ...] = ()

    @property
    def metric_spec(self) -> MetricSpec:
        """Label, unit and format of the metric."""
        return metric_spec_for(self.metric)

    @property
    def where(self) -> str:
        """The setting in words."""
        return f"average of {self.settings}" if self.setting is None else self.setting.text

    @property
    def is_clear(self) -> bool:
        """Whether the difference is significant after correction for its family."""
        return self.evidence is not None and self.evidence.is_clear


def with_evidence(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return a family of comparisons with their evidence, corrected for their number."""
    found = assess([comparison.difference for comparison in comparisons])
    return tuple(replace(each, evidence=own) for each, own in zip(comparisons, found, strict=True))
