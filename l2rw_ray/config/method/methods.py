"""The `method` section: one class per method, with the options of that method."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, Tag, model_validator

from l2rw_ray.config.custom import BUILT_IN, IMPORT_PATH, CustomSection, ImportPath, by_form
from l2rw_ray.config.method.imbalance import (
    ClassBalancedConfig,
    FocalConfig,
    InverseFrequencyConfig,
    LdamDrwConfig,
    LogitAdjustmentConfig,
    ResampleConfig,
)
from l2rw_ray.config.method.losses import (
    GeneralisedCrossEntropyConfig,
    LabelSmoothingConfig,
    SymmetricCrossEntropyConfig,
)
from l2rw_ray.config.method.robust import CoTeachingConfig, ElrConfig, MixUpConfig, SamConfig
from l2rw_ray.config.method.section import MethodSection
from l2rw_ray.config.method.stages import (
    FinetuneMetaConfig,
    JttConfig,
    MahalanobisFilterConfig,
    MetaOnlyConfig,
    MspFilterConfig,
    OodClassifierConfig,
)
from l2rw_ray.config.section import conflict

EstimatorName = Literal[
    "auto",
    "ghost",
    "forward_mode",
    "finite_difference",
    "central_difference",
    "second_order",
    "per_example",
    "last_layer",
]


class UniformConfig(MethodSection):
    """Plain training: every example counts the same."""

    name: Literal["uniform"]


class RandomConfig(MethodSection):
    """Rectified Gaussian weights: the control of Ren et al. 2018 that reweighting must beat."""

    name: Literal["random"]


class L2RWConfig(MethodSection):
    """Learning to reweight, Ren et al. 2018, Algorithm 1."""

    name: Literal["l2rw"]
    estimator: EstimatorName = "auto"
    """How the alignment of meta and example gradients is computed; `auto` takes the first of `ghost`,
    `finite_difference`, `forward_mode`, `second_order` and `per_example` that supports the model and agrees
    with plain autograd; the second within `max_error`, the others are exact."""
    verify_every: int = Field(default=500, ge=0)
    """Steps that compute scores from one check of the estimator against plain autograd to the next; the first
    such step has one too, and any that reads the shapes in a batch otherwise than before. 0 for no checks."""
    max_error: float | None = Field(default=None, ge=0)
    """Largest relative error of scores that a check accepts of a finite difference: beyond it `auto` takes
    another estimator, and a trial that names this one fails. null is 0.01 for `auto` and 0.1 for a finite
    difference that is named; with 0 `auto` takes exact ones alone. `last_layer`, which is inexact on
    purpose, never fails."""
    clip: Literal["relu", "none", "abs"] = "relu"
    """How negative scores are treated; `relu` is the paper's."""
    normalise: Literal["batch_sum", "none", "mean_one"] = "batch_sum"
    """Sum of a batch's weights: 1 (`batch_sum`), the batch size (`mean_one`), or unnormalised (`none`)."""
    lookahead: Literal["zero", "optimizer"] = "zero"
    """Where the meta gradient is taken: at the parameters (the paper), or after the optimiser's step."""
    epsilon: float = 0.0
    """Weights at which scores are differentiated, in units of 1/B; 0 in the paper."""
    score_momentum: float = Field(default=0.0, ge=0, lt=1)
    """Share of an example's earlier score in its current one; 0 for none."""
    meta_gradient_every: int = Field(default=1, ge=1)
    """Score computations between computations of the meta gradient."""
    update_every: int = Field(default=1, ge=1)
    """Steps per weight update."""
    between: Literal["hold", "uniform"] = "hold"
    """Weights in the steps between updates: each example's last weight, or 1/B."""
    meta_batch_size: int | None = Field(default=None, ge=1)
    """Meta examples per scored step; null takes all."""
    meta_batches: Literal["cycled", "fixed"] = "cycled"
    """Whether meta batches cycle through the meta set or are the same at every step."""

    @property
    def steps_per_weight_update(self) -> int:
        """Steps from one computation of scores to the next."""
        return self.update_every

    @property
    def steps_per_meta_gradient(self) -> int:
        """Steps from one meta gradient to the next."""
        return self.update_every * self.meta_gradient_every

    @property
    def scored_steps_per_check(self) -> int:
        """Steps that compute scores from one check of their estimator to the next; 0 for no checks."""
        return self.verify_every

    @model_validator(mode="after")
    def _epsilon_has_a_learning_rate(self) -> Self:
        if self.epsilon and self.lookahead == "zero":
            raise conflict(
                "epsilon", self.epsilon, "lookahead 'zero' has no learning rate", "use lookahead: optimizer"
            )
        return self

    @model_validator(mode="after")
    def _second_order_keeps_no_gradient(self) -> Self:
        if self.meta_gradient_every > 1 and self.estimator == "second_order":
            problem = "estimator 'second_order' computes the meta gradient at every step"
            raise conflict(
                "meta_gradient_every", self.meta_gradient_every, problem, "use 1, or estimator: auto"
            )
        return self


class _LearnedWeights(MethodSection):
    """Weights V(z_i; φ) divided by their sum in the batch, with a small network V trained on the meta set."""

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (100,)
    """Units of each hidden layer of the weight network; an empty list for none."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate of the Adam that trains the weight network."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """L2 penalty that this Adam adds to the gradient. The gradient grows with `optim.lr`: the published 1e-4
    goes with a rate of 0.1; at a hundredth of that rate it dominates the gradient and weights stay equal."""
    estimator: EstimatorName = "auto"
    """How the alignment of meta and example gradients is computed, as for `l2rw`."""
    verify_every: int = Field(default=500, ge=0)
    """Updates of the weight network from one check of the estimator against plain autograd to the next; the
    first has one too. 0 for no checks."""
    max_error: float | None = Field(default=None, ge=0)
    """Largest relative error of scores that a check accepts of a finite difference, as for `l2rw`."""
    lookahead: Literal["sgd", "optimizer", "zero"] = "sgd"
    """Where the meta loss is evaluated: after a plain SGD step with the present weights at `optim.lr`
    (published), after a step of the trial's optimiser with them, or at the parameters (cheapest)."""
    update_every: int = Field(default=1, ge=1)
    """Steps between updates of the weight network; it weights the examples of every step."""
    meta_batch_size: int | None = Field(default=None, ge=1)
    """Meta examples per update of the weight network; null takes all."""
    meta_batches: Literal["cycled", "fixed"] = "cycled"
    """Whether meta batches cycle through the meta set or are the same at every step."""

    @property
    def steps_per_weight_update(self) -> int:
        """Steps from one update of the weight network to the next."""
        return self.update_every

    @property
    def scored_steps_per_check(self) -> int:
        """Updates of the weight network from one check of the estimator to the next; 0 for no checks."""
        return self.verify_every


class MetaWeightNetConfig(_LearnedWeights):
    """Meta-Weight-Net, Shu et al. 2019: the weight is a learned function of the example's loss."""

    name: Literal["meta_weight_net"]


_OF_META_OBJECTIVE = (
    *("estimator", "verify_every", "max_error", "lookahead", "update_every", "meta_batch_size"),
    "meta_batches",
)


class WeightModelConfig(_LearnedWeights):
    """The weight is a learned function of the example's `weight_features`."""

    name: Literal["weight_model"]
    objective: Literal["meta", "joint"] = "meta"
    """Loss that trains the weight network: the meta loss (`meta`), or the weighted train loss (`joint`), a
    known failure whose unnormalised weights go to zero."""

    @property
    def scored_steps_per_check(self) -> int:
        """Updates of the weight network from one check of the estimator to the next; 0 for no checks."""
        return self.verify_every if self.objective == "meta" else 0

    @model_validator(mode="after")
    def _joint_uses_no_meta_set(self) -> Self:
        if self.objective == "meta":
            return self
        for name in _OF_META_OBJECTIVE:
            if getattr(self, name) != type(self).model_fields[name].default:
                problem = "objective 'joint' uses no meta set"
                raise conflict(name, getattr(self, name), problem, "leave it out, or use objective: meta")
        return self


MetaMethodConfig = L2RWConfig | MetaWeightNetConfig | WeightModelConfig
"""Sections of methods that take meta batches, and not necessarily at every step."""


class HeteroscedasticConfig(MethodSection):
    """Regression that predicts location and scale, by likelihood; Seitzer et al. 2022 for `beta`."""

    needs_targets: ClassVar[bool] = True

    name: Literal["heteroscedastic"]
    likelihood: Literal["gaussian", "laplace"] = "gaussian"
    """Distribution of a target around its location."""
    beta: float = Field(default=0.5, ge=0, le=1)
    """How strongly examples of large scale count: 0 is the plain likelihood, 1 learns locations as from the
    squared or absolute error."""


class CustomMethodConfig(CustomSection, MethodSection):
    """A custom method: `method(context, **options)` returns a `l2rw_ray.methods.Method`."""

    name: ImportPath


_BuiltIn = Annotated[
    UniformConfig
    | RandomConfig
    | L2RWConfig
    | InverseFrequencyConfig
    | ClassBalancedConfig
    | ResampleConfig
    | FocalConfig
    | LdamDrwConfig
    | LogitAdjustmentConfig
    | LabelSmoothingConfig
    | GeneralisedCrossEntropyConfig
    | SymmetricCrossEntropyConfig
    | CoTeachingConfig
    | ElrConfig
    | MixUpConfig
    | SamConfig
    | FinetuneMetaConfig
    | MetaOnlyConfig
    | JttConfig
    | MahalanobisFilterConfig
    | MspFilterConfig
    | OodClassifierConfig
    | MetaWeightNetConfig
    | WeightModelConfig
    | HeteroscedasticConfig,
    Field(discriminator="name"),
]
MethodConfig = Annotated[
    Annotated[_BuiltIn, Tag(BUILT_IN)] | Annotated[CustomMethodConfig, Tag(IMPORT_PATH)],
    Field(discriminator=by_form("name")),
]
