"""Options of the arms that train in stages, or on the meta set itself.

`optim.epochs` counts the epochs of all stages together.
"""

from typing import ClassVar, Literal

from pydantic import Field

from l2rw_ray.config.section import Section


class MetaOnlyMethod(Section):
    """Plain training on the meta set alone."""

    name: Literal["meta_only"]


class FinetuneMetaMethod(Section):
    """Plain training, the last epochs of it on the meta set."""

    name: Literal["finetune_meta"]
    finetune_epochs: int = Field(default=2, ge=1)
    """Last epochs, of as many steps each as the others, on the meta set; fewer than `optim.epochs`."""
    lr_factor: float = Field(default=0.1, gt=0)
    """Factor on the learning rate in these."""


class TwoStageMethod(Section):
    """What arms have in common that judge the train examples by a first model and then begin anew."""

    needs_whole_train_set: ClassVar[bool] = True

    first_epochs: int = Field(default=2, ge=1)
    """Epochs of the model that judges; fewer than `optim.epochs`."""


class JttMethod(TwoStageMethod):
    """Examples that a first model gets wrong weigh more, Liu et al. 2021."""

    needs_classes: ClassVar[bool] = True

    name: Literal["jtt"]
    upweight: float = Field(default=6.0, gt=1)
    """Weight of an example that it gets wrong, where others have 1."""


class FilterMethod(TwoStageMethod):
    """What arms have in common that drop train examples."""

    needs_classes: ClassVar[bool] = True

    drop_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of the train examples that is dropped."""
    reference: Literal["given_class", "best_class"] = "given_class"
    """Whether an example is held against the class it is labelled as, or the one that it fits best."""


class MahalanobisFilterMethod(FilterMethod):
    """Drops the examples farthest from class means by Mahalanobis distance, Lee et al. 2018."""

    needs_output_layer: ClassVar[bool] = True

    name: Literal["mahalanobis_filter"]


class MspFilterMethod(FilterMethod):
    """Drops the examples of the smallest softmax probability, Hendrycks & Gimpel 2017."""

    name: Literal["msp_filter"]


class OodClassifierMethod(TwoStageMethod):
    """Each train example weighs the probability that its features are those of a meta example."""

    needs_output_layer: ClassVar[bool] = True

    name: Literal["ood_classifier"]
