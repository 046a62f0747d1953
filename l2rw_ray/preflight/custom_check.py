"""Trying out models and arms of the user's own on a few examples, before anything is started."""

import torch
from torch import Tensor, nn

from l2rw_ray.config import PlannedTrial
from l2rw_ray.config.method.methods import CustomMethod, Method
from l2rw_ray.config.model import CustomModel
from l2rw_ray.data import Splits, epoch_batches
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import users_code
from l2rw_ray.methods import StepOutcome, build_arm
from l2rw_ray.methods.registry import output_count
from l2rw_ray.training.context import build_context
from l2rw_ray.training.ranks import Ranks

_EXAMPLES = 2


def check_outputs(config: CustomModel, network: nn.Module, splits: Splits, method: Method) -> None:
    """Send two examples through a model; it must give as many outputs for each as the data and the arm want.

    Raises:
        ConfigError: It gives something else, what is not finite, or has nothing to train.
        InputError: It raises.
    """
    field, path = "model.name", config.name
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError(field, path, "returned a module without parameters", "give it some to train")
    x, _ = splits.meta.take(torch.arange(_EXAMPLES))
    network.eval()
    with torch.no_grad(), users_code(path, field):
        output: object = network(x)
    network.train()
    wanted = [_EXAMPLES, output_count(method, splits)]
    if not isinstance(output, Tensor) or list(output.shape) != wanted:
        given = f"shape {list(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        noun = "outputs" if splits.is_regression else "classes"
        problem = f"for {_EXAMPLES} examples of {wanted[1]} {noun} its output is {given}"
        raise ConfigError(field, path, problem, f"return a tensor of shape {wanted}")
    if not output.isfinite().all():
        problem = f"for {_EXAMPLES} examples its output is not finite, before any training"
        raise ConfigError(field, path, problem, "mend it")


def check_arm(trial: PlannedTrial, method: CustomMethod, splits: Splits) -> None:
    """Let an arm make one step on a network that is thrown away.

    Raises:
        ConfigError: It lacks part of the interface, or its step returns something else.
        InputError: It raises.
    """
    field, path, config = "method.name", method.name, trial.config
    arm = build_arm(method, build_context(trial, splits, Ranks(), torch.device("cpu")))
    batch = next(epoch_batches(splits.train, config.optim.batch_size, trial.seed, epoch=0))
    with users_code(path, field):
        outcome: object = arm.step(batch, 0, 0)
        state: object = arm.state_dict()
    if not isinstance(outcome, StepOutcome):
        problem = f"its step returned a {type(outcome).__name__}"
        raise ConfigError(field, path, problem, "return a l2rw_ray.methods.StepOutcome")
    if not isinstance(state, dict):
        problem = f"its state_dict returned a {type(state).__name__}"
        raise ConfigError(field, path, problem, "return a dictionary, {} where there is no state")
