"""The `trial` section: everything that determines one training run but its seed and its workers."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Tag, field_validator, model_validator

from l2rw_ray.config.custom import BUILT_IN, IMPORT_PATH, CustomSection, ImportPath, by_form
from l2rw_ray.config.data import Data, ParquetData
from l2rw_ray.config.method import Method
from l2rw_ray.config.section import Section, conflict
from l2rw_ray.config.task import FIGURES, REGRESSION_FIGURES, data_misfit, trial_misfit
from l2rw_ray.import_path import attribute_name, is_import_path

VECTOR_MODELS = ("mlp",)


class ModelConfig(Section):
    """Which network is trained."""

    name: Literal[
        "mlp",
        "lenet",
        "paper_cnn",
        "alexnet_small",
        "resnet20_bn",
        "resnet32_bn",
        "resnet44_bn",
        "resnet56_bn",
        "resnet110_bn",
        "resnet20_gn",
        "resnet32_gn",
        "resnet44_gn",
        "resnet56_gn",
        "resnet110_gn",
        "wrn16_4",
        "wrn28_10",
        "wrn16_4_gn",
        "wrn28_10_gn",
    ]
    """Architecture, fitted to the source's input shape and number of classes."""

    @property
    def options(self) -> dict[str, Any]:
        """None: that is for networks of the user's own."""
        return {}


class CustomModel(CustomSection):
    """A network of the user's own: `build(input_shape, classes, **options)` returns an `nn.Module`."""

    name: ImportPath


Model = Annotated[
    Annotated[ModelConfig, Tag(BUILT_IN)] | Annotated[CustomModel, Tag(IMPORT_PATH)],
    Field(discriminator=by_form("name")),
]


class _Optim(Section):
    batch_size: int = Field(default=64, ge=1)
    """Examples per step over all workers together."""
    epochs: int = Field(default=10, ge=1)
    """Passes over the train set."""
    lr: float = Field(gt=0)
    """Learning rate, constant."""
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 penalty added to the gradient; in adamw, decay of the parameters."""
    accumulation_steps: int = Field(default=1, ge=1)
    """Batches per optimiser step; their gradients are averaged."""
    max_grad_norm: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient; a larger one is scaled down. Null for any."""


class SgdConfig(_Optim):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Momentum, from 0 to below 1."""
    dampening: float = Field(default=0.0, ge=0, le=1)
    """Share of a new gradient that the momentum leaves out."""
    nesterov: bool = False
    """Whether the momentum looks ahead."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and (not self.momentum or self.dampening):
            raise conflict("nesterov", True, "it wants momentum and no dampening", "set momentum: 0.9")
        return self


class AdamConfig(_Optim):
    """Adam with torch's defaults for its moments."""

    name: Literal["adam"]


class AdamWConfig(_Optim):
    """Adam whose weight decay acts on the parameters, not on the gradient."""

    name: Literal["adamw"]


Optim = Annotated[SgdConfig | AdamConfig | AdamWConfig, Field(discriminator="name")]


class Measurement(Section):
    """What is measured beside the training; nothing here can change a result."""

    probe_rounds: int = Field(default=5, ge=0)
    """Interleaved rounds of one plain and one reweighted step that the overhead is taken from;
    0 for none."""


class TrialConfig(Section):
    """One training run, but for its seed and its workers."""

    data: Data
    model: Model
    method: Method
    optim: Optim
    loss: Literal["squared", "absolute"] | None = None
    """Error that a regression minimises, of standardised targets; null for `squared`. An arm with a
    likelihood of its own trains on that, and is evaluated by this."""
    metrics: tuple[ImportPath, ...] = ()
    """Metrics of the user's own: `metric(outputs, targets)` returns a number, and is reported on the
    validation and the test set by the name of the attribute."""
    measurement: Measurement = Measurement()

    @property
    def import_paths(self) -> dict[str, str]:
        """The user's own code that the trial names: import paths by field."""
        named = {
            "trial.data.source": self.data.source,
            "trial.model.name": self.model.name,
            "trial.method.name": self.method.name,
        }
        named |= {f"trial.metrics[{place}]": path for place, path in enumerate(self.metrics)}
        return {field: name for field, name in named.items() if is_import_path(name)}

    @field_validator("metrics")
    @classmethod
    def _metrics_have_names_of_their_own(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        ours = (*FIGURES, *REGRESSION_FIGURES)
        names = [*ours, *map(attribute_name, metrics)]
        for place, path in enumerate(metrics):
            if attribute_name(path) in names[: len(ours) + place]:
                problem = f"there is a metric {attribute_name(path)!r} already"
                raise conflict(f"[{place}]", path, problem, "give yours another name")
        return metrics

    @model_validator(mode="after")
    def _task_follows_the_data(self) -> Self:
        is_regression = self.data.is_regression
        if is_regression is None:
            return self
        misfit = data_misfit(self.data, is_regression=is_regression)
        if misfit is not None:
            misfit = misfit._replace(field=f"data.{misfit.field}")
        misfit = misfit or trial_misfit(self.method, self.loss, is_regression=is_regression)
        if misfit is not None:
            raise conflict(*misfit)
        return self

    @model_validator(mode="after")
    def _model_fits_input(self) -> Self:
        features = isinstance(self.data, ParquetData) and self.data.features is not None
        if features and isinstance(self.model, ModelConfig) and self.model.name not in VECTOR_MODELS:
            raise conflict(
                "model.name", self.model.name, "data.features are vectors, it wants images", "use 'mlp'"
            )
        return self
