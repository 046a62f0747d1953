"""The `trial.selection` section: which epoch's model a trial is judged by, and when it has trained enough."""

from typing import Literal, Self

from pydantic import Field, model_validator

from l2rw_ray.config.section import Misfit, Section, conflict
from l2rw_ray.config.task import METRICS, REGRESSION_METRICS, best_mode
from l2rw_ray.import_path import attribute_name


class Selection(Section):
    """Which epoch's model is tested, and early stopping, by a metric of the validation set.

    Both look at the last stage of a method alone: at the second model of those that train two, and at the
    epochs on the meta set of `finetune_meta`. The test set is looked at once, with the selected model.
    """

    select: Literal["last", "best"] = "last"
    """Model that is tested and saved: that of the last epoch, or of the best one, the first of equals."""
    metric: str | None = None
    """Metric of the validation set without `validation_`: one of `objective.metric`'s, or the name of one of
    `trial.metrics`. Null for `balanced_accuracy`, or `rmse` of a regression."""
    mode: Literal["max", "min"] | None = None
    """Whether more or less of the metric is better; null for what follows from it. Needed by a custom one."""
    patience: int | None = Field(default=None, ge=1)
    """Evaluations in a row without a better value after which training ends; null for none: training goes on
    to its end."""

    @property
    def is_used(self) -> bool:
        """Whether anything depends on the validation set."""
        return self.select == "best" or self.patience is not None

    @model_validator(mode="after")
    def _mode_fits_metric(self) -> Self:
        own = None if self.metric is None else best_mode(f"validation_{self.metric}")
        if own is not None and self.mode not in (None, own):
            problem = f"{self.metric!r} is {'maximised' if own == 'max' else 'minimised'}"
            raise conflict("mode", self.mode, problem, "leave it out")
        if self.metric is None and self.mode is not None:
            raise conflict("mode", self.mode, "it goes with a metric", "name one, or leave it out")
        return self

    def misfit(self, custom: tuple[str, ...], *, is_regression: bool | None) -> Misfit | None:
        """Return the field that keeps the metric from selecting; None where there is none.

        Args:
            custom: Import paths of the trial's custom metrics.
            is_regression: Whether its data have targets; None where only loading them tells.
        """
        if self.metric is None:
            return None
        if self.metric in map(attribute_name, custom):
            if self.mode is None:
                problem = f"whether more of {self.metric!r} is better is not known"
                return Misfit("mode", None, problem, "use max or min")
            return None
        classes = () if is_regression else METRICS
        targets = () if is_regression is False else REGRESSION_METRICS
        known = dict.fromkeys((*classes, *targets, *map(attribute_name, custom)))
        if self.metric not in known:
            return Misfit("metric", self.metric, "no such metric", f"use one of {', '.join(known)}")
        return None
