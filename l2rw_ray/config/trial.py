"""The `trial` section: everything that determines one training run except its seed and workers."""

import math
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from l2rw_ray.config.code_identity import weights_hash
from l2rw_ray.config.custom import ImportPath
from l2rw_ray.config.data.set_sizes import most_train_examples
from l2rw_ray.config.data.sources import CustomData, Data, ParquetData
from l2rw_ray.config.data.text import TokenizerOptions
from l2rw_ray.config.method.methods import MethodConfig, WeightModelConfig
from l2rw_ray.config.method.robust import MixUpConfig
from l2rw_ray.config.method.stages import stages_misfit
from l2rw_ray.config.method.trial_loss import TrialLoss
from l2rw_ray.config.model import (
    TEXT_MODELS,
    CustomModel,
    HuggingFaceModel,
    MlpModel,
    Model,
    TextModel,
)
from l2rw_ray.config.optim import CustomOptim, FurtherCustom, Optim
from l2rw_ray.config.schedule import ScheduleRoom, schedule_misfit
from l2rw_ray.config.section import Section, conflict
from l2rw_ray.config.selection import Selection
from l2rw_ray.config.task import METRICS, REGRESSION_METRICS, data_misfit, trial_misfit
from l2rw_ray.config.training.length import EVERY_EPOCH, EvaluateEvery, updates_in
from l2rw_ray.config.training.precision import PrecisionName, precision_misfit
from l2rw_ray.config.training.random_sources import RandomSource
from l2rw_ray.import_path import attribute_name, is_import_path


class Measurement(Section):
    """Measurements beside the training. Changes no result."""

    probe_rounds: int = Field(default=5, ge=0)
    """Interleaved rounds of one plain and one reweighted step from which the overhead is measured; 0 for
    none."""


class TrialConfig(Section):
    """One training run, except its seed and workers."""

    data: Data
    """Where examples come from, and how the sets are drawn."""
    model: Model
    """Network that is trained."""
    method: MethodConfig
    """Training method: how a batch becomes an optimiser step."""
    optim: Optim
    """Optimiser, batches and epochs."""
    loss: TrialLoss | None = None
    """What methods train on, and what evaluations report as `loss`: a section, its name, or the import path
    of your own. Null for `cross_entropy`, of a regression `squared`. A regression method with a likelihood
    of its own trains on that and is evaluated by this."""
    metrics: tuple[ImportPath, ...] = ()
    """Custom metrics: `metric(outputs, targets)` returns a number, and is reported on the
    validation and the test set by the name of the attribute."""
    selection: Selection = Selection()
    """Which epoch's model is tested, and early stopping."""
    evaluate_every: EvaluateEvery = EVERY_EPOCH
    """When the validation set is looked at, beside the end of training. Each time the history has a row, a
    scheduler may stop the trial, and a checkpoint may be saved."""
    precision: PrecisionName = "float32"
    """What matrix products and convolutions are computed in, by torch's autocast. Parameters, losses and
    weights stay in float32. With `float16` the gradient is scaled by a `GradScaler`."""
    tf32: bool | None = None
    """Whether float32 products on a GPU are rounded to TensorFloat-32; null for torch's default, which rounds
    those of convolutions alone."""
    compile: bool = False
    """Whether `torch.compile` compiles the model, a graph for each shape of batch."""
    channels_last: bool = False
    """Whether images have their channels last in memory, for which many convolutions are faster."""
    redraw: RandomSource | None = None
    """A source of randomness whose draws are those of another seed: `split`, `init` or `order`. `seeds` with
    `redraw` sets it."""
    measurement: Measurement = Measurement()
    """Measurements beside the training."""

    @property
    def title(self) -> str:
        """Name of the method."""
        return str(self.method.name)

    @property
    def planned_epochs(self) -> int | None:
        """Epochs that the trial trains; None where `optim.steps` says how long."""
        return self.optim.epochs

    def identity(self) -> dict[str, Any]:
        """Return what determines its result, beside code, seed and resources.

        Measurements, the folder of a complete copy of a data set and processes that transform images do not
        count; weights and the file of a tokenizer do by their content.
        """
        where: dict[str, Any] = {"download": True, "tokenizer": {"file"}, "num_workers": True}
        if self.data.source != "ham10000":
            where["root"] = True
        not_counted: Any = {"measurement": True, "data": where}
        weights = self.model.weights_file
        if weights is not None:
            not_counted["model"] = {"weights"}
        identity: dict[str, Any] = {
            "trial": self.model_dump(mode="json", exclude=not_counted, exclude_defaults=True)
        }
        tokenizer = self.data.tokenizer_file
        if tokenizer is not None:
            identity["tokenizer"] = weights_hash("trial.data.tokenizer.file", tokenizer)
        if weights is not None:
            identity["weights"] = weights_hash("trial.model.weights", weights)
        return identity

    @property
    def import_paths(self) -> dict[str, str]:
        """The custom code that the trial names: import paths by field."""
        named = {
            "trial.data.source": self.data.source,
            "trial.model.name": self.model.name,
            "trial.method.name": self.method.name,
            "trial.optim.name": self.optim.name,
            "trial.loss": "" if self.loss is None else self.loss.name,
        }
        further = self.optim.further
        named |= {f"trial.optim.further[{place}].name": each.name for place, each in enumerate(further)}
        named |= {f"trial.metrics[{place}]": path for place, path in enumerate(self.metrics)}
        return {field: name for field, name in named.items() if is_import_path(name)}

    @property
    def data_for_model(self) -> Data:
        """`data` with the tokenizer of the model's weights, where these have one."""
        if not (self.data.has_texts and isinstance(self.model, HuggingFaceModel)):
            return self.data
        own = TokenizerOptions(file=f"{self.model.weights.rstrip('/')}/tokenizer.json")
        return self.data.model_copy(update={"tokenizer": own})

    @field_validator("loss", mode="before")
    @classmethod
    def _a_name_is_a_loss(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @field_validator("metrics")
    @classmethod
    def _metrics_have_names_of_their_own(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        ours = (*METRICS, *REGRESSION_METRICS)
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
        name, is_own = self.model.name, isinstance(self.model, CustomModel)
        is_for_texts, is_for_all = isinstance(self.model, TextModel), isinstance(self.model, HuggingFaceModel)
        if self.data.has_texts and not (is_own or is_for_texts or is_for_all):
            problem = "data.text are texts, it needs images or features"
            raise conflict("model.name", name, problem, f"use one of {', '.join(TEXT_MODELS)}")
        given = getattr(self.data, "tokenizer", TokenizerOptions())
        if is_for_all and self.data.has_texts and given != TokenizerOptions():
            problem = "model.weights have a tokenizer of their own"
            value = given.model_dump(exclude_defaults=True)
            raise conflict("data.tokenizer", value, problem, "leave it out")
        if is_for_texts and not (self.data.has_texts or isinstance(self.data, CustomData)):
            remedy = "use another model, or a table with data.text"
            raise conflict("model.name", name, "it takes texts, the data have none", remedy)
        embeds = isinstance(self.model, MlpModel) and self.model.categories == "embedding"
        if isinstance(self.method, MixUpConfig) and (self.data.has_texts or self.data.has_categories):
            what = "texts" if self.data.has_texts else "categories"
            problem, remedy = f"{what} have no mean to train on", "compare other methods"
            raise conflict("method.name", self.method.name, problem, remedy)
        if embeds and not self.data.has_categories:
            remedy = "leave it out, or name data.categorical"
            raise conflict("model.categories", "embedding", "the data have no categories", remedy)
        if self.data.has_vectors and not isinstance(self.model, MlpModel | CustomModel):
            raise conflict(
                "model.name", self.model.name, "data.features are vectors, it needs images", "use 'mlp'"
            )
        return self

    @model_validator(mode="after")
    def _one_network_has_the_scaler(self) -> Self:
        if self.method.name == "co_teaching" and self.precision == "float16":
            problem = "method 'co_teaching' trains two networks, a loss scale is of one"
            raise conflict("precision", self.precision, problem, "use bfloat16 or float32")
        return self

    @model_validator(mode="after")
    def _weights_know_their_images(self) -> Self:
        if self.data.normalize == "weights" and self.model.weights is None:
            problem, remedy = "model.weights are null", "use data, or {mean: […], std: […]}"
            raise conflict("data.normalize", "weights", problem, remedy)
        return self

    @model_validator(mode="after")
    def _stream_suits_the_trial(self) -> Self:
        data = self.data
        if not isinstance(data, ParquetData) or data.stream is None:
            return self
        if data.test is None and data.test_size is None:
            problem = "with data.stream the test set is held in memory, null takes a fifth of the table"
            raise conflict("data.test_size", None, problem, "give it a number")
        if self.method.needs_whole_train_set:
            problem = "it looks at the whole train set in an order of its own, data.stream reads it in passes"
            raise conflict(
                "method.name", self.method.name, problem, "use another method, or data.stream: null"
            )
        return self

    @model_validator(mode="after")
    def _stages_fit_into_epochs(self) -> Self:
        epochs = self.optim.epochs  # of steps only the data say
        if epochs is not None and (misfit := stages_misfit(self.method, epochs)) is not None:
            raise conflict(*misfit)
        return self

    @model_validator(mode="after")
    def _selection_has_a_metric(self) -> Self:
        selection = self.selection
        if selection.is_used and self.data.validation_size == 0:
            field = "select" if selection.select == "best" else "patience"
            problem, remedy = "it looks at the validation set", "set data.validation_size"
            raise conflict(f"selection.{field}", getattr(selection, field), problem, remedy)
        if (misfit := selection.misfit(self.metrics, is_regression=self.data.is_regression)) is not None:
            raise conflict(*misfit._replace(field=f"selection.{misfit.field}"))
        return self

    @model_validator(mode="after")
    def _lookahead_knows_the_optimiser(self) -> Self:
        lookahead = getattr(self.method, "lookahead", None)
        steps = (self.optim, *self.optim.further)
        unknown = [each.name for each in steps if isinstance(each, CustomOptim | FurtherCustom)]
        if lookahead == "optimizer" and unknown:
            problem = f"it differentiates the steps of sgd, adam and adamw, not of {unknown[0]!r}"
            raise conflict(
                "method.lookahead", lookahead, problem, "use lookahead: zero, or another optimiser"
            )
        return self

    @model_validator(mode="after")
    def _precision_suits_the_trial(self) -> Self:
        misfit = precision_misfit(
            *(self.precision, self.method, self.model),
            compiled=self.compile,
            channels_last=self.channels_last,
        )
        if misfit is not None:
            raise conflict(*misfit)
        return self

    @model_validator(mode="after")
    def _schedule_fits_into_stages(self) -> Self:
        optim = self.optim
        schedules = {"optim.schedule": optim.schedule} | {
            f"optim.further[{place}].schedule": each.schedule
            for place, each in enumerate(optim.further)
            if each.schedule is not None
        }
        rooms = self._schedule_rooms()
        for field, schedule in schedules.items():
            misfit = schedule_misfit(schedule, rooms)
            if misfit is not None:
                raise conflict(*misfit._replace(field=f"{field}.{misfit.field}"))
        return self

    def _schedule_rooms(self) -> dict[str, ScheduleRoom]:
        """Return the lengths of the trial and of its stages, by unit, as far as they are known."""
        optim, train_size = self.optim, self.data.train_size
        epochs = optim.epochs
        if epochs is None and optim.steps is not None and train_size is not None:
            epochs = math.ceil(optim.steps / max(train_size // optim.batch_size, 1))
        is_known = epochs is not None and stages_misfit(self.method, epochs) is None
        stages = self.method.stages(epochs) if epochs is not None and is_known else ()
        longest = max((stage.epochs for stage in stages), default=epochs)
        shortest = min((stage.epochs for stage in stages if stage.is_fresh), default=None)
        length = f"optim.epochs: {optim.epochs}" if optim.epochs else f"optim.steps: {optim.steps}"
        in_epochs = ScheduleRoom(epochs, longest, shortest, length)
        if optim.steps is not None:
            updates = optim.steps
            if train_size is not None and optim.accumulation_steps > 1:
                whole = max(train_size // optim.batch_size, 1)
                # several workers leave out a last batch that is too small for them
                epochs_of = {whole, math.ceil(train_size / optim.batch_size)}
                updates = max(updates_in(optim.steps, each, optim.accumulation_steps) for each in epochs_of)
                length = f"{length}, which are {updates} optimiser steps"
            return {"epochs": in_epochs, "steps": ScheduleRoom(updates, updates, updates, length)}
        most = most_train_examples(self.data, self.data.row_counts)
        if most is None:
            return {"epochs": in_epochs, "steps": ScheduleRoom(None, None, None, length)}
        per_epoch = math.ceil(math.ceil(most / optim.batch_size) / optim.accumulation_steps)
        trial, longest, shortest = (each and each * per_epoch for each in (epochs, longest, shortest))
        in_steps = ScheduleRoom(trial, longest, shortest, f"{length}, {trial} steps at most")
        return {"epochs": in_epochs, "steps": in_steps}

    @model_validator(mode="after")
    def _weight_model_has_features(self) -> Self:
        if not isinstance(self.method, WeightModelConfig) or isinstance(self.data, CustomData):
            return self
        if not isinstance(self.data, ParquetData):
            problem = f"data source {self.data.source!r} has no weight_features to weigh examples by"
            remedy = "use 'meta_weight_net', or a source that has them, such as parquet"
            raise conflict("method.name", self.method.name, problem, remedy)
        if self.data.weight_features is None:
            problem = "method 'weight_model' weighs examples by them"
            raise conflict("data.weight_features", None, problem, "name numeric columns")
        return self
