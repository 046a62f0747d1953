"""What the `data` section says of a regression: its target, and noise on it."""

from typing import Literal

from pydantic import Field

from l2rw_ray.config.section import Section


class GaussianNoise(Section):
    """Gaussian noise is added to train targets; `by` makes some of them more predictable than others."""

    kind: Literal["gaussian"]
    scale: float = Field(ge=0)
    """Standard deviation of the noise, in units of the target's own in the train pool; with `by`, its mean
    over the train pool."""
    by: str | int | None = None
    """Feature, by name or by index, that decides how noisy a target is: the deviation grows with the
    feature's rank in the train pool, from 0 to twice `scale`. Null for the same everywhere."""


class TableOptions(Section):
    """Columns of a table that are numbers."""

    target: str | None = None
    """Numeric column to predict, instead of a label: the study is a regression."""
    target_below: float | None = None
    """Rows whose target reaches this are left out, such as those of a capped target; null keeps all."""
    missing: Literal["error", "mean"] = "error"
    """What becomes of one of `features` without a value: it makes the row a bad one, or takes the feature's
    mean in the train pool."""
