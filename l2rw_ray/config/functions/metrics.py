"""The metrics that trials report: direction, format and use of each, in one table per study."""

import re
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from l2rw_ray.config.section import Section, conflict

Split = Literal["test", "validation", "train"]
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


class Metric(Section):
    """A metric that trials report. Changes no result."""

    mode: Literal["max", "min"] | None = None
    """Whether larger or smaller is better; null where neither is."""
    format: Literal["number", "percent", "seconds", "milliseconds", "bytes"] = "number"
    """How it is shown. `percent`: a fraction from 0 to 1, and differences in points; `milliseconds`: a time
    in seconds, shown in ms; `bytes`: shown in MiB."""
    headline: bool = False
    """Whether it answers the study's question: differences, intervals and tests are of this one. By default
    the first test metric, or the first with a mode."""
    label: str | None = None
    """Name within a sentence; null for the metric's name with spaces."""
    unit: str = ""
    """Unit of a `number`."""
    digits: int | None = Field(default=None, ge=0, le=9)
    """Decimal places of a `number`; null for four significant digits."""
    lowest: float | None = None
    """Smallest possible value, at which intervals end; null for none, or for that of the format."""
    highest: float | None = None
    """Largest possible value; null for none, or for that of the format."""
    split: Split | None = None
    """Set it is measured on; null where the name says so, as `test_` does. Test metrics select nothing."""

    @model_validator(mode="after")
    def _unit_goes_with_a_number(self) -> Self:
        for field in ("unit", "digits"):
            if getattr(self, field) not in ("", None) and self.format != "number":
                problem = f"format: {self.format} has its own"
                raise conflict(field, getattr(self, field), problem, "leave it out, or use format: number")
        return self


Metrics = Mapping[str, Metric]
"""Metrics by name; those of tables come first."""


def split_of(name: str, metric: Metric | None = None) -> Split | None:
    """Return the set that a metric is measured on: what its name says, else what is declared.

    Args:
        name: Its name; `test_accuracy`, `accuracy/test` and `testAccuracy` say test.
        metric: Its declaration; None where there is none.
    """
    words = {word.lower() for word in _WORDS.findall(name)}
    if "test" in words:
        return "test"
    if metric is not None and metric.split is not None:
        return metric.split
    if words & {"validation", "valid", "val", "dev"}:
        return "validation"
    return "train" if words & {"train", "training"} else None


def is_test(name: str, metric: Metric | None = None) -> bool:
    """Return whether a metric is of the test set, so that nothing may select by it."""
    return split_of(name, metric) == "test"


def is_percent(name: str, metrics: Metrics) -> bool | None:
    """Return whether a metric is declared as a percentage; None where it is not declared."""
    return metrics[name].format == "percent" if name in metrics else None


def is_recorded(name: str) -> bool:
    """Return whether the record of a trial has something else than a metric under a name."""
    return name in RECORDED or name.startswith("factor.")


def _share(label: str, mode: Literal["max", "min"] | None = "max") -> Metric:
    return Metric(label=label, mode=mode, format="percent")


def _evaluated(split: str) -> dict[str, Metric]:
    return {
        f"{split}_balanced_accuracy": _share(f"{split} balanced accuracy"),
        f"{split}_accuracy": _share(f"{split} accuracy"),
        f"{split}_worst_class_accuracy": _share(f"{split} accuracy of the worst class"),
        f"{split}_rmse": Metric(label=f"{split} RMSE", mode="min", lowest=0),
        f"{split}_mae": Metric(label=f"{split} MAE", mode="min", lowest=0),
        f"{split}_r2": Metric(label=f"{split} R²", mode="max", digits=4, highest=1),
    }


COSTS: dict[str, Metric] = {
    "step_time_plain_s": Metric(label="plain step", format="milliseconds"),
    "step_time_s": Metric(label="step time", format="milliseconds"),
    "overhead_ratio": Metric(label="overhead ratio", digits=2, lowest=0),
    "duration_s": Metric(label="duration of a trial", format="seconds"),
    "core_hours": Metric(label="cost of a trial", unit="core-hours", lowest=0),
    "peak_memory_bytes": Metric(label="peak memory", format="bytes"),
}
"""What trials of any kind cost; a trial need not report all of them."""
RECORDED = frozenset(
    {
        *("attempt", "class_counts", "classes", "commit", "config", "confusion", "cpus_per_worker", "device"),
        *("epoch", "epochs", "error", "estimator_used", "gpus_per_worker", "hardware", "history"),
        *("known_noise", "log", "method", "metrics", "reason", "schema_version", "seed", "split_hash_meta"),
        *("split_hash_test", "split_hash_train", "split_hash_validation", "split_sizes", "started_at"),
        *("status", "step", "step_series", "steps", "test_outcomes", "traceback", "train_examples"),
        *("trial_id", "versions", "warnings", "weight_histograms", "workers"),
    }
)
"""Names that the record of a trial gives to something else than a metric."""
BUILT_IN: dict[str, Metric] = {
    **_evaluated("test"),
    **_evaluated("validation"),
    "validation_loss": Metric(label="validation loss", mode="min", digits=4),
    "effective_sample_size": Metric(
        label="effective sample size", unit="examples per batch", digits=1, lowest=0
    ),
    "zero_weight_fraction": _share("examples of weight zero", None),
    "corrupted_weight_share": _share("weight on wrong labels", None),
    "corrupted_auroc": Metric(label="wrong labels found", unit="AUROC", digits=3, lowest=0, highest=1),
}
"""What the built-in trainer declares."""


def declared(own: Metrics, *, built_in: bool) -> Metrics:
    """Return the metrics of a study: those of the built-in trainer where it is used, and the user's.

    Args:
        own: What the study declares.
        built_in: Whether its trials are those of the built-in trainer.
    """
    return {**(BUILT_IN if built_in else {}), **COSTS, **own}
