"""Which class implements which estimator."""

from collections.abc import Callable

from l2rw_ray.meta.alignment.interface import Estimator
from l2rw_ray.registry import Registry

ESTIMATORS: Registry[Callable[[], Estimator]] = Registry("estimator")


def estimator_named(name: str) -> Estimator:
    """Return a new estimator of that name.

    Raises:
        InputError: There is none.
    """
    return ESTIMATORS.get(name)()
