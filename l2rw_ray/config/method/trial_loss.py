"""The `loss` of a trial: what its method trains on, and what evaluations report."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, Tag, field_validator, model_serializer

from l2rw_ray.config.custom import BUILT_IN, IMPORT_PATH, CustomSection, ImportPath, by_form
from l2rw_ray.config.section import Section, conflict


class LossSection(Section):
    """A loss; its name alone stands for the loss with its defaults.

    Attributes:
        is_of_targets: Whether it is for a regression, for classes, or for both (None).
    """

    is_of_targets: ClassVar[bool | None] = False

    @model_serializer(mode="wrap")
    def _by_name_alone(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Return the name where all else is at its default, as studies of before have it."""
        dumped = handler(self)
        is_default = all(
            getattr(self, name) == field.get_default(call_default_factory=True)
            for name, field in type(self).model_fields.items()
            if name != "name"
        )
        return dumped["name"] if is_default and "name" in dumped else dumped


class SquaredLoss(LossSection):
    """The squared error of a regression, on standardised targets."""

    is_of_targets: ClassVar[bool | None] = True

    name: Literal["squared"]


class AbsoluteLoss(LossSection):
    """The absolute error of a regression, on standardised targets."""

    is_of_targets: ClassVar[bool | None] = True

    name: Literal["absolute"]


class CrossEntropyLoss(LossSection):
    """Cross-entropy, with class weights or smoothed labels where they are given."""

    name: Literal["cross_entropy"]
    class_weights: (
        Literal["inverse_frequency"]
        | Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]
        | None
    ) = None
    """Factor on the loss of each class: a list of them, or `inverse_frequency` for N / (C n_c) of the train
    set's given labels, C being the classes that occur, whose mean over its examples is 1. Null for none."""
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Probability that is shared out evenly among all classes."""

    @field_validator("class_weights")
    @classmethod
    def _some_class_counts(cls, weights: Any) -> Any:
        if isinstance(weights, tuple) and not any(weights):
            raise conflict("", list(weights), "no class has a weight", "give one above 0")
        return weights


class GeneralisedCrossEntropyLoss(LossSection):
    """Generalised cross-entropy (1 − p^q) / q of the label's probability p, Zhang & Sabuncu 2018."""

    name: Literal["generalised_cross_entropy"]
    q: float = Field(default=0.7, gt=0, le=1)
    """From cross-entropy, its limit at 0, to the mean absolute error, 1."""


class SymmetricCrossEntropyLoss(LossSection):
    """α · cross-entropy + β · reverse cross-entropy, Wang et al. 2019; defaults are those for CIFAR-10."""

    name: Literal["symmetric_cross_entropy"]
    alpha: float = Field(default=0.1, ge=0)
    """Factor on cross-entropy."""
    beta: float = Field(default=1.0, gt=0)
    """Factor on reverse cross-entropy."""
    log_zero: float = Field(default=-4.0, lt=0)
    """Value that stands for log 0 in the reverse one, A in the paper."""


class FocalLoss(LossSection):
    """The focal loss (1 − p)^γ · −log p of the label's probability p, Lin et al. 2017."""

    name: Literal["focal"]
    gamma: float = Field(default=2.0, ge=0)
    """How strongly well-predicted examples are discounted; 0 for not at all."""


class CustomLoss(CustomSection, LossSection):
    """A loss of your own: `loss(outputs, targets, **options)` returns one number per example, [B]."""

    is_of_targets: ClassVar[bool | None] = None

    name: ImportPath


_BuiltIn = Annotated[
    CrossEntropyLoss
    | GeneralisedCrossEntropyLoss
    | SymmetricCrossEntropyLoss
    | FocalLoss
    | SquaredLoss
    | AbsoluteLoss,
    Field(discriminator="name"),
]
TrialLoss = Annotated[
    Annotated[_BuiltIn, Tag(BUILT_IN)] | Annotated[CustomLoss, Tag(IMPORT_PATH)],
    Field(discriminator=by_form("name")),
]
