"""Custom metrics, computed on all outputs of a set at once.

Shape suffixes: N examples, C classes.
"""

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import attribute_name
from l2rw_ray.registry import Registry

_FIELD = "trial.metrics"

Metric = Callable[[Tensor, Tensor], float]
"""Maps outputs, float [N, C], and targets, int64 [N], of a regression standardised ones, float32 [N], all on
the CPU, to a number."""
METRICS: Registry[Metric] = Registry(_FIELD, import_paths=True)


def load_metrics(paths: Iterable[str]) -> dict[str, Metric]:
    """Import the metrics that a trial names; returns them by import path.

    Raises:
        InputError: One cannot be imported.
    """
    return {path: METRICS.get(path) for path in paths}


def compute_metrics(metrics: Mapping[str, Metric], outputs_NC: Tensor, targets_N: Tensor) -> dict[str, float]:
    """Return each metric's value by its name, the last part of the import path.

    Args:
        metrics: Metrics by import path.
        outputs_NC: The model's outputs.
        targets_N: The clean labels, or the standardised targets.

    Raises:
        ConfigError: A metric did not return a number.
    """
    return {
        attribute_name(path): _as_number(path, metric(outputs_NC, targets_N))
        for path, metric in metrics.items()
    }


def _as_number(path: str, returned: object) -> float:
    if isinstance(returned, str | bytes):
        raise _no_number(path, returned)
    try:
        return float(returned)  # type: ignore[arg-type]  # a number, or a tensor of one
    except OverflowError as error:
        problem = f"returned {_described(returned)} too large for a float"
        raise ConfigError(_FIELD, path, problem, "return it in a larger unit") from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise _no_number(path, returned) from error


def _no_number(path: str, returned: object) -> ConfigError:
    return ConfigError(_FIELD, path, f"returned {_described(returned)}, no number", "return a float")


def _described(returned: object) -> str:
    if isinstance(returned, Tensor):
        return f"a tensor of shape {list(returned.shape)}"
    return "None" if returned is None else f"a {type(returned).__name__}"
