"""The metrics of a study's report: what its tables show, what answers it, and what its curves are of."""

from collections.abc import Container
from dataclasses import dataclass, replace
from functools import cached_property

from l2rw_ray.config import StudySpec
from l2rw_ray.config.functions.choice import headline_of as declared_headline
from l2rw_ray.config.functions.metrics import Metrics, is_test
from l2rw_ray.report.design_points.labels import (
    COST_METRICS,
    TEST_METRICS,
    WEIGHT_METRICS,
    MetricName,
    headline_of,
    metric_spec_for,
    spec_of,
    validation_metric,
)

_RATIO = "overhead_ratio"


@dataclass(frozen=True)
class MetricTable:
    """The metrics of a study.

    Attributes:
        own: What the study itself declares.
        is_built_in: Whether its trials are those of the built-in trainer.
        objective: The metric that selects.
    """

    own: Metrics
    is_built_in: bool
    objective: str

    def named(self, name: str) -> str:
        """Return the name of a metric that knows how the study declares it."""
        return MetricName(name, spec_of(name, self.own[name])) if name in self.own else name

    @cached_property
    def results(self) -> tuple[str, ...]:
        """Metrics that have a table of design points: those of the test set, or all that are declared."""
        own = [name for name, metric in self.own.items() if not self.is_built_in or is_test(name, metric)]
        usual = TEST_METRICS if self.is_built_in else ()
        headline = declared_headline(self.own) if own else None
        first = (headline,) if headline in own else ()
        return tuple(map(self.named, dict.fromkeys((*filter(None, first), *usual, *own))))

    @cached_property
    def costs(self) -> tuple[str, ...]:
        """Metrics of what trials cost."""
        if self.is_built_in:
            return tuple(map(self.named, COST_METRICS))
        ratio = replace(metric_spec_for(_RATIO), label="duration relative to the control")
        own = {_RATIO: MetricName(_RATIO, ratio)} if _RATIO not in self.own else {}
        return tuple(own.get(name) or self.named(name) for name in COST_METRICS if name not in self.results)

    @cached_property
    def summarised(self) -> tuple[str, ...]:
        """Metrics of which design points have means and intervals."""
        weights = WEIGHT_METRICS if self.is_built_in else ()
        return tuple(dict.fromkeys((*self.results, *weights, *self.costs)))

    def headline(self, known: Container[str]) -> str:
        """Return the metric that answers the study's question.

        Args:
            known: Names of the metrics that its trials have.
        """
        declared = declared_headline(self.own)
        is_declared = declared is not None and (not self.is_built_in or self.own[declared].headline)
        if declared is not None and is_declared:
            return self.named(declared)
        return headline_of(known) if self.is_built_in else self.named(self.objective)

    def curve(self, headline: str) -> str:
        """Return the metric of learning curves: the headline's on the validation set, else what selects.

        Args:
            headline: The headline metric.
        """
        same = validation_metric(headline)
        return self.named(same if same != headline and self._is_declared(same) else self.objective)

    def _is_declared(self, name: str) -> bool:
        return name in self.own or self.is_built_in


def metric_table(spec: StudySpec) -> MetricTable:
    """Return the metrics of a study."""
    return MetricTable(spec.metrics, spec.is_built_in, spec.objective.metric)


BUILT_IN_TABLE = MetricTable({}, True, "validation_balanced_accuracy")
"""The metrics of the built-in trainer alone."""
