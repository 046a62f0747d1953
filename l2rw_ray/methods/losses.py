"""Build the loss that a trial's `loss` section names.

Shape suffixes: B batch, C classes.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.config.method.trial_loss import (
    AbsoluteLoss,
    CrossEntropyLoss,
    CustomLoss,
    FocalLoss,
    GeneralisedCrossEntropyLoss,
    SquaredLoss,
    SymmetricCrossEntropyLoss,
    TrialLoss,
)
from l2rw_ray.data import Splits
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import load, users_code
from l2rw_ray.meta import LossFunction
from l2rw_ray.methods.builtin.class_weights import class_counts, inverse_frequency_weights
from l2rw_ray.methods.builtin.focal import focal_loss
from l2rw_ray.methods.precision import at_least_float32
from l2rw_ray.methods.robust.losses import generalised_cross_entropy, symmetric_cross_entropy

_FIELD = "loss"


def build_loss(config: TrialLoss | None, splits: Splits) -> LossFunction:
    """Return the function that maps outputs and targets to one loss per example.

    Args:
        config: The section; None for cross-entropy of classes, for the squared error of a regression.
        splits: The trial's data, which the loss must suit.

    Raises:
        InputError: It is custom code that cannot be imported, or class weights are not one per class.
    """
    cross_entropy = nn.CrossEntropyLoss(reduction="none")
    match config:
        case None:
            return squared_error if splits.is_regression else cross_entropy
        case SquaredLoss():
            return squared_error
        case AbsoluteLoss():
            return absolute_error
        case CrossEntropyLoss():
            return _cross_entropy(config, splits)
        case GeneralisedCrossEntropyLoss():
            return generalised_cross_entropy(cross_entropy, config.q)
        case SymmetricCrossEntropyLoss():
            return symmetric_cross_entropy(cross_entropy, config.alpha, config.beta, config.log_zero)
        case FocalLoss():
            return focal_loss(cross_entropy, config.gamma)
        case CustomLoss():
            return _custom(config)


def squared_error(output: Tensor, target_B: Tensor) -> Tensor:
    """Return (ŷ − y)² of the first output of each example, [B]."""
    return (output[:, 0] - target_B).square()


def absolute_error(output: Tensor, target_B: Tensor) -> Tensor:
    """Return |ŷ − y| of the first output of each example, [B]."""
    return (output[:, 0] - target_B).abs()


def _cross_entropy(config: CrossEntropyLoss, splits: Splits) -> LossFunction:
    """Return cross-entropy with smoothed labels and a factor for each label's class.

    The factor is on an example's whole loss, smoothing included; torch's own weights would act on each term
    of a smoothed loss.
    """
    factors_C = _class_factors(config, splits)

    def losses(output_BC: Tensor, target_B: Tensor) -> Tensor:
        losses_B = functional.cross_entropy(
            output_BC, target_B, reduction="none", label_smoothing=config.smoothing
        )
        return losses_B if factors_C is None else factors_C.to(losses_B)[target_B] * losses_B

    return losses


def _class_factors(config: CrossEntropyLoss, splits: Splits) -> Tensor | None:
    given, classes = config.class_weights, len(splits.class_names)
    if given is None:
        return None
    if given == "inverse_frequency":
        return inverse_frequency_weights(class_counts(splits.train, classes))
    if len(given) != classes:
        problem = f"{len(given)} weights for {classes} classes"
        raise ConfigError("loss.class_weights", list(given), problem, "give one for each class")
    return torch.tensor(given)


def _custom(config: CustomLoss) -> LossFunction:
    """Return a custom loss; one that does not return a loss for each example is told."""
    own = partial(load(config.name, f"trial.{_FIELD}"), **config.options)

    def losses(output: Tensor, target_B: Tensor) -> Tensor:
        with users_code(config.name, _FIELD):
            found: object = own(at_least_float32(output), target_B)
        if not isinstance(found, Tensor) or found.shape != target_B.shape[:1]:
            given = f"shape {list(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
            problem = f"for {len(target_B)} examples it returned {given}"
            raise ConfigError(_FIELD, config.name, problem, "return one loss for each, without a mean")
        return found

    return losses
