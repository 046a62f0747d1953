"""The `method` section: one class per arm, with the options that this arm has and no others."""

from typing import Annotated, Literal

from pydantic import Field

from l2rw_ray.config.section import Section


class UniformMethod(Section):
    """Plain training: every example counts the same."""

    name: Literal["uniform"]


class RandomMethod(Section):
    """Rectified Gaussian weights: the control of Ren et al. 2018 that reweighting must beat."""

    name: Literal["random"]


class L2RWMethod(Section):
    """Learning to reweight, Ren et al. 2018, Algorithm 1."""

    name: Literal["l2rw"]
    estimator: Literal["auto", "forward_mode"] = "auto"
    """How the alignment of meta and example gradients is computed; `auto` takes the cheapest valid."""
    update_every: int = Field(default=1, ge=1)
    """Steps from one computation of scores to the next."""
    between: Literal["hold", "uniform"] = "hold"
    """Weights of the steps in between: each example's last weight, or 1/B."""
    meta_batch_size: int | None = Field(default=None, ge=1)
    """Meta examples per scored step, drawn without replacement in cycles; null takes all."""


Method = Annotated[UniformMethod | RandomMethod | L2RWMethod, Field(discriminator="name")]
