"""The loss of a trial's task, which does not depend on its method."""

from l2rw_ray.config import TrialConfig
from l2rw_ray.config.task import trial_misfit
from l2rw_ray.data import Splits
from l2rw_ray.errors import ConfigError
from l2rw_ray.meta import LossFunction
from l2rw_ray.methods.losses import build_loss


def task_loss(config: TrialConfig, splits: Splits) -> LossFunction:
    """Return the trial's `loss`: by default cross-entropy for classes, the squared error for a regression.

    Args:
        config: The trial.
        splits: Its data.

    Raises:
        ConfigError: Its method or loss is undefined for the data.
    """
    check_fit(config, splits)
    return build_loss(config.loss, splits)


def check_fit(config: TrialConfig, splits: Splits) -> None:
    """Check that method and loss are defined for the data, whose task may only be known once loaded.

    Raises:
        ConfigError: One is undefined.
    """
    misfit = trial_misfit(config.method, config.loss, is_regression=splits.is_regression)
    if misfit is not None:
        raise ConfigError(f"trial.{misfit.field}", *misfit[1:])
