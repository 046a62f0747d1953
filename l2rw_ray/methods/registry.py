"""Which class implements which arm."""

from collections.abc import Callable
from typing import TypeVar

from l2rw_ray.config.method import Method
from l2rw_ray.methods.interface import Arm, ArmFactory, TrainingContext

_ARMS: dict[str, ArmFactory] = {}
_Factory = TypeVar("_Factory", bound=ArmFactory)


def register(name: str) -> Callable[[_Factory], _Factory]:
    """Make a class the implementation of arm `name`; a second one for the same name is an error."""

    def add(factory: _Factory) -> _Factory:
        if name in _ARMS:
            raise ValueError(f"arm {name!r} is registered twice")
        _ARMS[name] = factory
        return factory

    return add


def build_arm(config: Method, context: TrainingContext) -> Arm:
    """The arm that a trial's `method` section asks for."""
    return _ARMS[config.name](config, context)


def arm_names() -> tuple[str, ...]:
    """Every registered arm, sorted."""
    return tuple(sorted(_ARMS))
