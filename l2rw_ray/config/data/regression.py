"""Regression in the `data` section: the target, and noise on it."""

from typing import Literal

from pydantic import Field

from l2rw_ray.config.section import Section


class GaussianNoise(Section):
    """Gaussian noise is added to train targets; with `by` its scale follows a feature."""

    kind: Literal["gaussian"]
    scale: float = Field(ge=0)
    """Standard deviation of the noise, in units of the target's own in the train pool; with `by`, its mean
    over the train pool."""
    by: str | int | None = None
    """Feature, by name or by index, that decides how noisy a target is: the deviation grows with the
    feature's rank in the train pool, from 0 to twice `scale`. Null for the same everywhere."""


class TableOptions(Section):
    """Numeric columns of a table."""

    target: str | None = None
    """Numeric column to predict, instead of a label: the study is a regression."""
    target_below: float | None = None
    """Rows whose target reaches this are left out, such as those of a capped target; null keeps all."""
    missing: Literal["error", "mean"] = "error"
    """How to treat a missing value of `features`: as a bad row, or as the feature's mean in the train
    pool."""
