"""The loss of a trial's task, which does not depend on its method.

Shape suffixes: B batch.
"""

from torch import Tensor, nn

from l2rw_ray.config import TrialConfig
from l2rw_ray.config.task import trial_misfit
from l2rw_ray.data import Splits
from l2rw_ray.errors import ConfigError
from l2rw_ray.meta import LossFunction


def task_loss(config: TrialConfig, splits: Splits) -> LossFunction:
    """Return cross-entropy for classes; for a regression the error of the first output, by `loss`.

    Args:
        config: The trial.
        splits: Its data.

    Raises:
        ConfigError: Its method or loss is undefined for the data.
    """
    check_fit(config, splits)
    if not splits.is_regression:
        return nn.CrossEntropyLoss(reduction="none")
    return absolute_error if config.loss == "absolute" else squared_error


def check_fit(config: TrialConfig, splits: Splits) -> None:
    """Check that method and loss are defined for the data, whose task may only be known once loaded.

    Raises:
        ConfigError: One is undefined.
    """
    misfit = trial_misfit(config.method, config.loss, is_regression=splits.is_regression)
    if misfit is not None:
        raise ConfigError(f"trial.{misfit.field}", *misfit[1:])


def squared_error(output: Tensor, target_B: Tensor) -> Tensor:
    """Return (ŷ − y)² of the first output of each example, [B]."""
    return (output[:, 0] - target_B).square()


def absolute_error(output: Tensor, target_B: Tensor) -> Tensor:
    """Return |ŷ − y| of the first output of each example, [B]."""
    return (output[:, 0] - target_B).abs()
