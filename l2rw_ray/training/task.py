"""The loss that a trial's data ask for, whatever its method.

Shape suffixes: B batch.
"""

from torch import Tensor, nn

from l2rw_ray.config import TrialConfig
from l2rw_ray.config.task import trial_misfit
from l2rw_ray.data import Splits
from l2rw_ray.errors import ConfigError
from l2rw_ray.meta import LossFunction


def task_loss(config: TrialConfig, splits: Splits) -> LossFunction:
    """Cross-entropy of classes; of a regression the error of the first output, as `loss` says.

    Args:
        config: The trial.
        splits: Its data.

    Raises:
        ConfigError: Its method or its loss is undefined for such data.
    """
    check_fit(config, splits)
    if not splits.is_regression:
        return nn.CrossEntropyLoss(reduction="none")
    return absolute_error if config.loss == "absolute" else squared_error


def check_fit(config: TrialConfig, splits: Splits) -> None:
    """Refuse a method or a loss that is undefined for the data, which only now may be known.

    Raises:
        ConfigError: It is.
    """
    misfit = trial_misfit(config.method, config.loss, is_regression=splits.is_regression)
    if misfit is not None:
        raise ConfigError(f"trial.{misfit.field}", *misfit[1:])


def squared_error(output: Tensor, target_B: Tensor) -> Tensor:
    """(ŷ − y)² of the first output of each example, [B]."""
    return (output[:, 0] - target_B).square()


def absolute_error(output: Tensor, target_B: Tensor) -> Tensor:
    """|ŷ − y| of the first output of each example, [B]."""
    return (output[:, 0] - target_B).abs()
