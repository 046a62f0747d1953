"""Options of methods whose steps themselves resist wrong labels or sharp minima."""

from typing import ClassVar, Literal

from pydantic import Field

from l2rw_ray.config.method.section import MethodSection


class CoTeachingConfig(MethodSection):
    """Two networks, each trained on the examples of smallest loss of the other, Han et al. 2018.

    The first of the two is evaluated.
    """

    needs_classes: ClassVar[bool] = True

    name: Literal["co_teaching"]
    forget_rate: float = Field(default=0.2, ge=0, lt=1)
    """Largest share of a batch that is left out, τ; in the paper the rate of wrong labels."""
    gradual_epochs: int = Field(default=10, ge=1)
    """Epochs after which that share is reached, T_k; it grows linearly from 0 in the first. A shorter trial
    ends below it."""


class ElrConfig(MethodSection):
    """Early-learning regularisation: predictions are kept near their own running mean, Liu et al. 2020.

    Defaults are those for CIFAR-10.
    """

    needs_classes: ClassVar[bool] = True
    has_own_loss: ClassVar[bool] = True

    name: Literal["elr"]
    strength: float = Field(default=3.0, ge=0)
    """Factor on the regularisation, λ; 0 for cross-entropy."""
    momentum: float = Field(default=0.7, ge=0, lt=1)
    """Share of an example's earlier target in the new one, β."""


class MixUpConfig(MethodSection):
    """Training on mixtures of two examples, Zhang et al. 2018.

    For inputs that have a mean: images, and features that are numbers.
    """

    name: Literal["mixup"]
    alpha: float = Field(default=1.0, gt=0, le=100)
    """Parameter of the Beta distribution of the shares: the smaller, the closer mixtures are to one of their
    examples; with 1, the paper's for CIFAR-10, all shares are equally likely."""


class SamConfig(MethodSection):
    """Sharpness-aware minimisation: the gradient at the worst point within a radius ρ, Foret et al. 2021."""

    name: Literal["sam"]
    rho: float = Field(default=0.05, gt=0)
    """Distance at which the gradient is taken, in the Euclidean norm of all parameters."""
