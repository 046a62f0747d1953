"""Check custom models, losses and methods on a few examples before a run starts."""

import torch
from torch import Tensor, nn

from l2rw_ray.config import PlannedTrial
from l2rw_ray.config.method.methods import CustomMethodConfig, MethodConfig
from l2rw_ray.config.method.trial_loss import CustomLoss, TrialLoss
from l2rw_ray.config.model import CustomModel
from l2rw_ray.data import Splits, epoch_batches
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import users_code
from l2rw_ray.methods import StepOutcome, build_method
from l2rw_ray.methods.losses import build_loss
from l2rw_ray.methods.registry import output_count
from l2rw_ray.training.arithmetic.precision import autocast
from l2rw_ray.training.context import build_context
from l2rw_ray.training.ranks import Ranks

_EXAMPLES = 2


def check_outputs(config: CustomModel, network: nn.Module, splits: Splits, method: MethodConfig) -> None:
    """Check a custom model's output for two examples: its shape must suit the data and the method.

    Raises:
        ConfigError: The output has another shape or is not finite, or the model has no parameters to train.
        InputError: The model raises.
    """
    field, path = "model.name", config.name
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError(field, path, "returned a module without parameters", "add parameters to train")
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
        raise ConfigError(field, path, problem, "fix its initialisation")


def check_loss(config: TrialLoss | None, network: nn.Module, splits: Splits) -> None:
    """Check that a loss suits the data, and that a custom one can be trained on, by two examples.

    Raises:
        ConfigError: Class weights are not one per class, or a custom loss returns something else than one
            differentiable loss for each example.
        InputError: The custom loss cannot be imported, or raises.
    """
    loss_fn = build_loss(config, splits)
    if not isinstance(config, CustomLoss):
        return
    x, y = splits.meta.take(torch.arange(_EXAMPLES))
    network.eval()
    with torch.enable_grad():
        losses_B = loss_fn(network(x), y)
    network.train()
    if not losses_B.requires_grad:
        problem, remedy = (
            "its losses have no gradient",
            "compute them from the outputs, without detach or no_grad",
        )
        raise ConfigError("loss", config.name, problem, remedy)


def check_method(trial: PlannedTrial, config: CustomMethodConfig, splits: Splits) -> None:
    """Check that a custom method can make one step, on a network that is discarded.

    Raises:
        ConfigError: The method lacks part of the interface, or returns something else.
        InputError: The method raises.
    """
    field, path = "method.name", config.name
    context, precision = build_context(trial, splits, Ranks(), torch.device("cpu")), trial.built_in.precision
    method = build_method(config, context)
    seed, size = trial.seed_of("order"), trial.built_in.optim.batch_size
    batch = next(epoch_batches(splits.train, size, seed, epoch=0))
    with users_code(path, field), autocast(precision, torch.device("cpu")):
        outcome: object = method.step(batch, 0, 0)
        state: object = method.state_dict()
    if not isinstance(outcome, StepOutcome):
        problem = f"its step returned a {type(outcome).__name__}"
        raise ConfigError(field, path, problem, "return a l2rw_ray.methods.StepOutcome")
    scaler = context.update_options.get("scaler")
    if scaler is not None and not scaler.is_used:
        problem = f"its step does not scale the loss, which precision {precision!r} needs"
        raise ConfigError(field, path, problem, "use the scaler in context.update_options, or bfloat16")
    if not isinstance(state, dict):
        problem = f"its state_dict returned a {type(state).__name__}"
        raise ConfigError(field, path, problem, "return a dictionary, {} if there is no state")
