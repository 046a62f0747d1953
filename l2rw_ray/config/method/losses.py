"""Options of methods that train on another loss, against wrong labels."""

from typing import ClassVar, Literal

from pydantic import Field

from l2rw_ray.config.method.section import MethodSection


class LabelSmoothingConfig(MethodSection):
    """Cross-entropy against smoothed labels, Szegedy et al. 2016."""

    needs_classes: ClassVar[bool] = True
    has_own_loss: ClassVar[bool] = True

    name: Literal["label_smoothing"]
    smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Probability that is shared out evenly among all classes; 0 for cross-entropy."""


class GeneralisedCrossEntropyConfig(MethodSection):
    """Generalised cross-entropy (1 − p^q) / q of the label's probability p, Zhang & Sabuncu 2018."""

    needs_classes: ClassVar[bool] = True
    has_own_loss: ClassVar[bool] = True

    name: Literal["generalised_cross_entropy"]
    q: float = Field(default=0.7, gt=0, le=1)
    """From cross-entropy, its limit at 0, to the mean absolute error, 1."""


class SymmetricCrossEntropyConfig(MethodSection):
    """α · cross-entropy + β · reverse cross-entropy, Wang et al. 2019; defaults are those for CIFAR-10."""

    needs_classes: ClassVar[bool] = True
    has_own_loss: ClassVar[bool] = True

    name: Literal["symmetric_cross_entropy"]
    alpha: float = Field(default=0.1, ge=0)
    """Factor on cross-entropy."""
    beta: float = Field(default=1.0, gt=0)
    """Factor on reverse cross-entropy."""
    log_zero: float = Field(default=-4.0, lt=0)
    """Value that stands for log 0 in the reverse one, A in the paper."""
