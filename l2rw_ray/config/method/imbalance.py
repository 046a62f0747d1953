"""Options of methods against class imbalance: weights, sampling, losses."""

from typing import ClassVar, Literal

from pydantic import Field

from l2rw_ray.config.method.section import MethodSection


class InverseFrequencyConfig(MethodSection):
    """Weights each class by one over its number of train examples."""

    needs_classes: ClassVar[bool] = True

    name: Literal["inverse_frequency"]


class ClassBalancedConfig(MethodSection):
    """Weights each class by one over its effective number of train examples, Cui et al. 2019."""

    needs_classes: ClassVar[bool] = True

    name: Literal["class_balanced"]
    beta: float = Field(default=0.9999, ge=0, lt=1)
    """Close to 1, weights follow inverse frequency; 0 gives equal weights."""


class ResampleConfig(MethodSection):
    """Draws examples with replacement so that all classes are equally frequent."""

    needs_classes: ClassVar[bool] = True
    needs_whole_train_set: ClassVar[bool] = True

    name: Literal["resample"]


class FocalConfig(MethodSection):
    """The focal loss, Lin et al. 2017."""

    needs_classes: ClassVar[bool] = True
    has_own_loss: ClassVar[bool] = True

    name: Literal["focal"]
    gamma: float = Field(default=2.0, ge=0)
    """How strongly well-predicted examples are discounted; 0 for not at all."""


class LdamDrwConfig(MethodSection):
    """Margins that depend on the label distribution, with deferred reweighting, Cao et al. 2019."""

    needs_classes: ClassVar[bool] = True
    has_own_loss: ClassVar[bool] = True

    needs_output_layer: ClassVar[bool] = True

    name: Literal["ldam_drw"]
    max_margin: float = Field(default=0.5, ge=0)
    """Margin of the rarest class, as a cosine."""
    scale: float = Field(default=30.0, gt=0)
    """Factor from cosines to logits."""
    beta: float = Field(default=0.9999, ge=0, lt=1)
    """`beta` of the class weights of the last epochs; see `class_balanced`."""
    defer: float = Field(default=0.8, ge=0, le=1)
    """Share of the epochs before class weights apply; 1 for never."""


class LogitAdjustmentConfig(MethodSection):
    """Cross-entropy of logits shifted by the log of each class's share, Menon et al. 2021."""

    needs_classes: ClassVar[bool] = True
    has_own_loss: ClassVar[bool] = True

    name: Literal["logit_adjustment"]
    tau: float = Field(default=1.0, ge=0)
    """Factor on the shift; 0 for cross-entropy."""
