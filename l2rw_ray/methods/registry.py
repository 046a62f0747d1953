"""The methods by name."""

from torch import nn

from l2rw_ray.config.method.methods import CustomMethodConfig, MethodConfig
from l2rw_ray.data import Splits
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import users_code
from l2rw_ray.methods.interface import Method, MethodFactory, TrainingContext
from l2rw_ray.registry import Registry

_FIELD = "method.name"
_INTERFACE = ("step", "state_dict", "load_state_dict")

METHODS: Registry[MethodFactory] = Registry(_FIELD, import_paths=True)


def adapted_network(config: MethodConfig, network: nn.Module) -> nn.Module:
    """Return the network as the method trains it, changed by the method's static `adapt` if it has one.

    Args:
        config: The trial's `method` section.
        network: Freshly initialised, on the CPU, not wrapped.
    """
    adapt = getattr(METHODS.get(config.name), "adapt", None)
    return network if adapt is None else adapt(network, config)


def output_count(config: MethodConfig, splits: Splits) -> int:
    """Return the number of outputs: one per class; for a regression 1, or the method's `outputs`.

    Args:
        config: The trial's `method` section.
        splits: Its data.
    """
    if not splits.is_regression:
        return len(splits.class_names)
    return int(getattr(METHODS.get(config.name), "outputs", 1))


def build_method(config: MethodConfig, context: TrainingContext) -> Method:
    """Build the method of a trial's `method` section.

    Raises:
        InputError: It is custom code that cannot be imported, raises or lacks part of the interface.
    """
    factory = METHODS.get(config.name)
    if not isinstance(config, CustomMethodConfig):
        return factory(config, context)
    with users_code(config.name, _FIELD):
        method = factory(context, **config.options)
    missing = [name for name in _INTERFACE if not callable(getattr(method, name, None))]
    if missing:
        problem = f"a {type(method).__name__} has no method {missing[0]!r}"
        raise ConfigError(_FIELD, config.name, problem, "implement l2rw_ray.methods.Method")
    return method
