"""Check patterns of parameter names by a network without data or weights, on the meta device."""

from collections.abc import Iterable
from typing import Any

import torch

from l2rw_ray.config import PlannedTrial, TrialConfig
from l2rw_ray.config.method.methods import CustomMethodConfig
from l2rw_ray.config.model import MlpModel, Model, SmallImageModel, TimmModel, TorchvisionModel
from l2rw_ray.errors import InputError
from l2rw_ray.methods.registry import adapted_network
from l2rw_ray.models import build_model
from l2rw_ray.training.optim.parameter_groups import additional_parameters, parameter_groups

_SMALL, _LARGE, _CLASSES = (3, 32, 32), (3, 224, 224), 10


def check_patterns(trials: Iterable[PlannedTrial]) -> None:
    """Check that each pattern in `optim.groups` and `optim.further` fits a parameter.

    Names do not depend on the number of classes or the size of images, so that a stand-in serves, built once
    for each distinct model, method and patterns. Networks of texts, categories and Hugging Face and custom
    code are left to the check that a run begins with.

    Raises:
        ConfigError: A pattern matches no parameter, or all parameters are frozen.
    """
    configs = {id(trial.config): trial.config for trial in trials}.values()
    seen: set[str] = set()
    for config in configs:
        if not isinstance(config, TrialConfig) or not (config.optim.groups or config.optim.further):
            continue
        if config.data.has_texts or config.data.has_categories:
            continue
        patterns = config.optim.model_dump_json(include={"groups", "further"})
        key = f"{config.model.model_dump_json()} {config.method.name} {patterns}"
        if key not in seen:
            seen.add(key)
            _check(config)


def _check(config: TrialConfig) -> None:
    shape = _stand_in(config.model)
    if shape is None or isinstance(config.method, CustomMethodConfig):
        return
    options: dict[str, Any] = {} if isinstance(config.model, TimmModel) else config.model.options
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            network = adapted_network(config.method, build_model(config.model.name, shape, _CLASSES, options))
    except InputError:
        return
    _, rest = additional_parameters(config.optim.further, network)
    parameter_groups(config.optim, rest, network)


def _stand_in(model: Model) -> tuple[int, int, int] | None:
    """Return a shape of images that a network takes; None where only its data or weights tell its names."""
    match model:
        case MlpModel() | SmallImageModel():
            return _SMALL
        case TorchvisionModel() | TimmModel():
            return _LARGE
        case _:
            return None
