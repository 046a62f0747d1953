"""Options of methods that train in stages or on the meta set itself.

`optim.epochs` counts the epochs of all stages together.
"""

from typing import ClassVar, Literal

from pydantic import Field

from l2rw_ray.config.method.section import MethodSection, Stage
from l2rw_ray.config.section import Misfit


class MetaOnlyConfig(MethodSection):
    """Plain training on the meta set alone."""

    name: Literal["meta_only"]


class FinetuneMetaConfig(MethodSection):
    """Plain training, with the last epochs on the meta set."""

    name: Literal["finetune_meta"]
    finetune_epochs: int = Field(default=2, ge=1)
    """Number of last epochs on the meta set, with as many steps as the others; fewer than `optim.epochs`."""
    lr_factor: float = Field(default=0.1, gt=0)
    """Learning rate at the start of these epochs, as a fraction of `optim.lr`. With a schedule that has
    fallen by then, choose it so that the rate does not rise again."""

    def stages(self, epochs: int) -> tuple[Stage, ...]:
        """Return the stage on the train set and that on the meta set."""
        last = Stage(self.finetune_epochs, self.lr_factor, is_fresh=False)
        return (Stage(epochs - self.finetune_epochs), last)


class TwoStageConfig(MethodSection):
    """Options of methods that judge the train examples by a first model and then train a new one."""

    needs_whole_train_set: ClassVar[bool] = True

    first_epochs: int = Field(default=2, ge=1)
    """Epochs of the first model; fewer than `optim.epochs`."""

    def stages(self, epochs: int) -> tuple[Stage, ...]:
        """Return the stages of the first and of the second model."""
        return (Stage(self.first_epochs), Stage(epochs - self.first_epochs))


class JttConfig(TwoStageConfig):
    """Upweights examples that a first model gets wrong, Liu et al. 2021."""

    needs_classes: ClassVar[bool] = True

    name: Literal["jtt"]
    upweight: float = Field(default=6.0, gt=1)
    """Weight of an example that the first model gets wrong; others have 1."""


class FilterConfig(TwoStageConfig):
    """Options of methods that drop train examples."""

    needs_classes: ClassVar[bool] = True

    drop_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of the train examples to drop."""
    reference: Literal["given_class", "best_class"] = "given_class"
    """Whether an example is compared with its labelled class or with the class it fits best."""


class MahalanobisFilterConfig(FilterConfig):
    """Drops the examples farthest from class means by Mahalanobis distance, Lee et al. 2018."""

    needs_output_layer: ClassVar[bool] = True

    name: Literal["mahalanobis_filter"]


class MspFilterConfig(FilterConfig):
    """Drops the examples of the smallest softmax probability, Hendrycks & Gimpel 2017."""

    name: Literal["msp_filter"]


class OodClassifierConfig(TwoStageConfig):
    """Weights each train example by the probability that its features are those of a meta example."""

    needs_output_layer: ClassVar[bool] = True

    name: Literal["ood_classifier"]


def stages_misfit(method: MethodSection, epochs: int) -> Misfit | None:
    """Return the field of a method of several stages that leaves none for the last; None where all fit.

    Args:
        method: The `method` section.
        epochs: Of the whole trial, the last one perhaps partial.
    """
    fields = {TwoStageConfig: "first_epochs", FinetuneMetaConfig: "finetune_epochs"}
    for kind, field in fields.items():
        if isinstance(method, kind) and (given := getattr(method, field)) >= epochs:
            problem = f"optim.epochs counts all stages together and is {epochs}"
            remedy = f"use at most {epochs - 1}" if epochs > 1 else "use optim.epochs: 2 or more"
            return Misfit(f"method.{field}", given, problem, remedy)
    return None
