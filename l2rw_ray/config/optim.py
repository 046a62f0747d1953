"""The `optim` section: optimiser, batches and length of the training."""

from typing import Annotated, Literal, Self

from pydantic import Field, Tag, model_validator

from l2rw_ray.config.custom import BUILT_IN, IMPORT_PATH, CustomSection, ImportPath, by_form
from l2rw_ray.config.schedule import CONSTANT, Schedule
from l2rw_ray.config.section import Section, conflict
from l2rw_ray.config.training.length import Length


class ParameterGroup(Section):
    """Parameters with a learning rate or weight decay of their own, or frozen."""

    match: str = Field(min_length=1)
    """Pattern of their names, as `named_parameters()` of the model gives them: `*` stands for any characters.
    A parameter belongs to the first group that matches it."""
    lr_factor: float = Field(default=1.0, gt=0)
    """Factor on the learning rate."""
    weight_decay: float | None = Field(default=None, ge=0)
    """Weight decay in place of `optim.weight_decay`; null for that one."""
    frozen: bool = False
    """Whether they stay as they are. Running statistics, as of BatchNorm, still follow the data."""

    @model_validator(mode="after")
    def _frozen_ones_have_no_rate(self) -> Self:
        if self.frozen and self.lr_factor != 1:
            raise conflict("lr_factor", self.lr_factor, "frozen parameters have no rate", "leave it out")
        if self.frozen and self.weight_decay is not None:
            raise conflict(
                "weight_decay", self.weight_decay, "frozen parameters do not decay", "leave it out"
            )
        return self


class _Rates(Section):
    lr: float = Field(gt=0)
    """Learning rate: the largest one, which `schedule` starts from or rises to."""
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 penalty added to the gradient; in adamw, decay of the parameters."""
    decay_biases_and_norms: bool = True
    """Whether weight decay also acts on parameters of one dimension or none: biases, and what scales and
    shifts after a normalisation."""


class _Sgd(Section):
    name: Literal["sgd"]
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Momentum, from 0 to below 1."""
    dampening: float = Field(default=0.0, ge=0, le=1)
    """Share of a new gradient that the momentum leaves out; without momentum it has no effect."""
    nesterov: bool = False
    """Use Nesterov momentum."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and (not self.momentum or self.dampening):
            raise conflict(
                "nesterov", True, "Nesterov needs momentum > 0 and dampening 0", "set momentum: 0.9"
            )
        return self


class _Moments(Section):
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the denominator."""


class _Custom(CustomSection):
    name: ImportPath

    @model_validator(mode="after")
    def _options_leave_fields_alone(self) -> Self:
        for field in ("lr", "weight_decay"):
            if field in self.options:
                problem = f"the field {field} says it"
                raise conflict(f"options.{field}", self.options[field], problem, f"set {field} itself")
        return self


class _Further(_Rates):
    match: str = Field(min_length=1)
    """Pattern of the names of its parameters, as in `optim.groups`. A parameter belongs to the first whose
    pattern matches it, and else to the section's own, with `groups`."""
    dimensions: int | None = Field(default=None, ge=0)
    """Number of dimensions that such parameters have: 2 for matrices alone; null for any."""
    schedule: Schedule | None = None
    """How its learning rate changes; null for `optim.schedule`."""


class FurtherSgd(_Sgd, _Further):
    """Stochastic gradient descent."""


class FurtherAdam(_Moments, _Further):
    """Adam, Kingma & Ba 2015."""

    name: Literal["adam"]


class FurtherAdamW(_Moments, _Further):
    """Adam whose weight decay acts on the parameters, not on the gradient, Loshchilov & Hutter 2019."""

    name: Literal["adamw"]


class FurtherCustom(_Custom, _Further):
    """Any optimiser of `torch.optim`, such as `torch.optim:Muon`, or one of your own."""


_FurtherBuiltIn = Annotated[FurtherSgd | FurtherAdam | FurtherAdamW, Field(discriminator="name")]
FurtherOptim = Annotated[
    Annotated[_FurtherBuiltIn, Tag(BUILT_IN)] | Annotated[FurtherCustom, Tag(IMPORT_PATH)],
    Field(discriminator=by_form("name")),
]


class _Optim(_Rates, Length):
    batch_size: int = Field(default=64, ge=1)
    """Examples per step over all workers together."""
    schedule: Schedule = CONSTANT
    """How the learning rate changes."""
    groups: tuple[ParameterGroup, ...] = ()
    """Parameters with a learning rate or weight decay of their own, or frozen, by patterns of their names."""
    further: tuple[FurtherOptim, ...] = ()
    """Further optimisers, of parameters by pattern, such as Muon for the matrices of hidden layers. All step
    together; this section's own trains the rest."""
    accumulation_steps: int = Field(default=1, ge=1)
    """Batches per optimiser step; their gradients are averaged. The last step of an epoch has the batches
    that are left."""
    max_grad_norm: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient; larger ones are scaled down. Null for no limit."""


class SgdConfig(_Sgd, _Optim):
    """Stochastic gradient descent."""


class AdamConfig(_Moments, _Optim):
    """Adam, Kingma & Ba 2015."""

    name: Literal["adam"]


class AdamWConfig(_Moments, _Optim):
    """Adam whose weight decay acts on the parameters, not on the gradient, Loshchilov & Hutter 2019."""

    name: Literal["adamw"]


class CustomOptim(_Custom, _Optim):
    """Any optimiser of `torch.optim`, such as `torch.optim:RAdam`, or one of your own.

    It is called as `optimizer(groups, lr=…, weight_decay=…, **options)`, the latter where it takes one. Steps
    that evaluate the loss again, as those of LBFGS, are refused.
    """


_BuiltIn = Annotated[SgdConfig | AdamConfig | AdamWConfig, Field(discriminator="name")]
Optim = Annotated[
    Annotated[_BuiltIn, Tag(BUILT_IN)] | Annotated[CustomOptim, Tag(IMPORT_PATH)],
    Field(discriminator=by_form("name")),
]
