"""Readable names, units and number formats of factors and metrics."""

import json
import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from l2rw_ray.config.functions.metrics import BUILT_IN, COSTS, Metric
from l2rw_ray.config.planned_trial import SELECTORS
from l2rw_ray.statistics import Difference, Interval

HEADLINE = "test_balanced_accuracy"
"""Headline metric of a classification."""
REGRESSION_HEADLINE = "test_rmse"
"""Headline metric of a regression."""
MINUS = "−"

_FACTOR_NAMES = {
    "data.bias": "bias",
    "data.bias.imbalance_factor": "imbalance factor",
    "data.bias.kind": "kind of bias",
    "data.bias.level": "dominance of one class",
    "data.bias.ratio": "majority examples per minority example",
    "data.meta_bias": "bias of the meta set",
    "data.meta_bias.imbalance_factor": "imbalance factor of the meta set",
    "data.meta_bias.kind": "kind of bias of the meta set",
    "data.meta_bias.level": "dominance of one class in the meta set",
    "data.meta_noise": "noise in the meta set",
    "data.meta_noise.kind": "kind of noise in the meta set",
    "data.meta_noise.rate": "share of wrong labels in the meta set",
    "data.left_verified": "label of verified train examples",
    "data.meta_per_class": "clean examples per class",
    "data.noise": "noise",
    "data.noise.kind": "kind of noise",
    "data.noise.rate": "share of wrong labels",
    "data.noise.scale": "noise in deviations of the target",
    "data.source": "data source",
    "data.train_size": "train examples",
    "method.beta": "β",
    "method.between": "weights between updates",
    "method.estimator": "estimator",
    "method.likelihood": "likelihood",
    "method.meta_batch_size": "meta examples per step",
    "method.name": "method",
    "method.objective": "objective of the weights",
    "method.update_every": "steps per weight update",
    "model.name": "model",
    "optim.batch_size": "batch size",
    "optim.epochs": "epochs",
    "optim.lr": "learning rate",
    "optim.momentum": "momentum",
    "optim.schedule": "schedule",
    "optim.schedule.name": "schedule",
    "optim.schedule.warmup": "warm-up",
    "optim.weight_decay": "weight decay",
    "resources.workers": "workers",
}
"""Keys that say which section it is, so that their values stand for it."""
_PERCENT_FACTORS = {"data.bias.level", "data.meta_bias.level", "data.meta_noise.rate", "data.noise.rate"}


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """Label, unit and number format of a metric.

    Attributes:
        label: Name within a sentence.
        unit: Unit after scaling; empty for ratios.
        scale: Factor from the unit of the ledger to the shown unit.
        digits: Decimal places; None for four significant digits.
        less_is_better: Whether smaller values are better.
        lowest: Smallest possible value, in the unit of the ledger.
        highest: Largest possible value.
        has_chance_level: Whether it is known what a model that has learnt nothing reaches.
    """

    label: str
    unit: str
    scale: float
    digits: int | None
    less_is_better: bool = False
    lowest: float = 0.0
    highest: float = math.inf
    has_chance_level: bool = False

    @property
    def heading(self) -> str:
        """Label with its unit, for a column or an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def is_share(self) -> bool:
        """Whether it is shown in percent, and differences in points."""
        return self.unit == "%"

    @property
    def direction(self) -> str:
        """Suffix for metrics of which smaller values are better."""
        return ", less is better" if self.less_is_better else ""

    @property
    def worst(self) -> float:
        """Worst possible value, in the unit of the ledger."""
        return self.highest if self.less_is_better else self.lowest

    @property
    def of_divergence(self) -> str:
        """What a run that diverged counts as, where it is shown in percent."""
        return "chance level" if self.has_chance_level else f"the worst value, {self.text(self.worst)} %"

    @property
    def of_difference(self) -> str:
        """Words after the number of a difference."""
        return f"points of {self.label}" if self.is_share else f"in {self.label}{self.direction}"

    @property
    def unit_of_difference(self) -> str:
        """Unit of a difference, in words."""
        return "points" if self.is_share else self.unit or "units"

    def amount(self, difference: float) -> str:
        """Return the size of a difference with its unit, such as `1.0 points of test accuracy`."""
        return f"{self.text(difference)} {self.unit_of_difference} of {self.label}"

    def within(self, interval: Interval) -> Interval:
        """Return the interval clipped to the range of the metric."""
        return interval.clipped(self.lowest, self.highest)

    def difference_within(self, difference: Difference) -> Difference:
        """Return the difference with its interval clipped to the range of differences."""
        if difference.interval is None:
            return difference
        widest = self.highest - self.lowest
        return replace(difference, interval=difference.interval.clipped(-widest, widest))

    def text(self, value: float) -> str:
        """Return the value in the shown unit, with a typographic minus sign."""
        return self._text(value, self._places(value), "-")

    def signed(self, value: float) -> str:
        """Return the value in the shown unit, always with its sign."""
        return self._text(value, self._places(value), "+")

    def _text(self, value: float, places: int, sign: str) -> str:
        shown = round(value * self.scale, places) + 0.0  # adding 0 turns −0 into 0
        comma = "," if self.digits is None else ""  # these may be of any magnitude
        return f"{shown:{sign}{comma}.{places}f}".replace("-", MINUS)

    def _places(self, *values: float) -> int:
        """Return the number of decimal places for values shown together."""
        if self.digits is not None:
            return self.digits
        largest = max(abs(value * self.scale) for value in values)
        return max(0, 3 - math.floor(math.log10(largest))) if largest else 0

    def limits(self, interval: Interval) -> str:
        """Return `low to high`, or why there are no limits."""
        return self._limits(interval, "-")

    def signed_limits(self, interval: Interval) -> str:
        """Return `low to high` of a difference, with signs."""
        return self._limits(interval, "+")

    def _limits(self, interval: Interval, sign: str) -> str:
        if not interval.is_conclusive:
            return "one seed" if interval.n == 1 else "too few seeds"
        places = self._places(interval.low, interval.high)
        return f"{self._text(interval.low, places, sign)} to {self._text(interval.high, places, sign)}"


class MetricName(str):
    """Name of a metric that knows how it is shown.

    Args:
        name: The name.
        spec: Label, unit and format.
    """

    spec: MetricSpec

    def __new__(cls, name: str, spec: MetricSpec) -> Self:
        """Return the name as text."""
        made = super().__new__(cls, name)
        made.spec = spec
        return made


_FORMATS = {
    "percent": MetricSpec("", "%", 100, 1, highest=1.0),
    "seconds": MetricSpec("", "s", 1, 1),
    "milliseconds": MetricSpec("", "ms", 1000, 2),
    "bytes": MetricSpec("", "MiB", 2**-20, 1),
    "number": MetricSpec("", "", 1, None, lowest=-math.inf),
}


def spec_of(name: str, metric: Metric) -> MetricSpec:
    """Return how a declared metric is shown.

    Args:
        name: Its name.
        metric: What the study, or the built-in trainer, declares.
    """
    usual = _FORMATS[metric.format]
    return replace(
        usual,
        label=metric.label or name.replace("_", " "),
        unit=usual.unit or metric.unit,
        digits=usual.digits if metric.digits is None else metric.digits,
        less_is_better=metric.mode == "min",
        lowest=usual.lowest if metric.lowest is None else metric.lowest,
        highest=usual.highest if metric.highest is None else metric.highest,
    )


METRICS: Mapping[str, MetricSpec] = {
    name: replace(spec_of(name, metric), has_chance_level=name in BUILT_IN and metric.format == "percent")
    for name, metric in (BUILT_IN | COSTS).items()
}
"""Metrics of the built-in trainer, and costs."""


def metric_spec_for(name: str) -> MetricSpec:
    """Return label, unit and format of any metric: as it is declared, or of the built-in trainer."""
    if isinstance(name, MetricName):
        return name.spec
    return METRICS.get(name) or MetricSpec(name.replace("_", " "), "", 1, 4, lowest=-math.inf)


def validation_metric(test_figure: str) -> str:
    """Return the name of the same metric on the validation set."""
    return test_figure.replace("test_", "validation_", 1)


def headline_of(known: Container[str]) -> str:
    """Return the headline metric of the built-in trainer: RMSE of a regression, or balanced accuracy.

    Args:
        known: Names of the metrics of its trials.
    """
    is_regression = HEADLINE not in known and REGRESSION_HEADLINE in known
    return REGRESSION_HEADLINE if is_regression else HEADLINE


TEST_METRICS = tuple(name for name in BUILT_IN if name.startswith("test_"))
WEIGHT_METRICS = (
    "effective_sample_size",
    "zero_weight_fraction",
    "corrupted_weight_share",
    "corrupted_auroc",
)
WEIGHT_CURVES = ("effective_sample_size", "corrupted_weight_share")
"""Metrics of the weights that are plotted per epoch."""
TIMING_METRICS = ("step_time_plain_s", "step_time_s", "overhead_ratio")
COST_METRICS = tuple(COSTS)


def factor_name(path: str) -> str:
    """Return the readable name of a factor, or its path."""
    return _FACTOR_NAMES.get(path, path)


def level_text(path: str, level: Any) -> str:
    """Return a readable level; a section, given as JSON text, becomes `pair, rate 40 %`."""
    level = _parsed(level) if isinstance(level, str) else level
    if isinstance(level, Mapping) and level:
        chosen = [str(level[key]) for key in SELECTORS if key in level]
        others = [key for key in level if key not in SELECTORS]
        return ", ".join([*chosen, *(f"{key} {level_text(f'{path}.{key}', level[key])}" for key in others)])
    if isinstance(level, list) and any(isinstance(each, Mapping) for each in level):
        return f"[{'; '.join(level_text(path, each) for each in level)}]"
    if path in _PERCENT_FACTORS and isinstance(level, int | float):
        return f"{100 * level:g}\N{NO-BREAK SPACE}%"
    if isinstance(level, bool):
        return "yes" if level else "no"
    if isinstance(level, float):
        return f"{level:g}".replace("-", MINUS)
    return "none" if level is None else str(level)


def _parsed(level: str) -> Any:
    """Return the section or list that a text is the JSON of; any other text as it is."""
    try:
        found = json.loads(level)
    except ValueError:
        return level
    return found if isinstance(found, dict | list) else level


def p_text(p: float | None) -> str:
    """Return a p value as printed, or a dash."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def count(number: int, noun: str) -> str:
    """Return `1 seed` or `3 seeds`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
