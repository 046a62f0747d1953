"""What precision, compilation and memory format of a trial do not go with."""

from typing import Literal

from l2rw_ray.config.method.methods import MethodConfig
from l2rw_ray.config.model import MlpModel, Model, TextModel
from l2rw_ray.config.section import Misfit

PrecisionName = Literal["float32", "bfloat16", "float16"]

_DIFFERENCES = ("finite_difference", "central_difference")
_LOOK_INSIDE = ("forward_mode", "second_order", "last_layer")


def precision_misfit(
    precision: PrecisionName, method: MethodConfig, model: Model, *, compiled: bool, channels_last: bool
) -> Misfit | None:
    """Return the field of a trial that keeps it from computing as it should; None where there is none.

    Args:
        precision: What products are computed in.
        method: The trial's method, whose estimator of scores may refuse it.
        model: The trial's model.
        compiled: Whether torch.compile compiles the model.
        channels_last: Whether images have their channels last in memory.
    """
    estimator = getattr(method, "estimator", None)
    if precision != "float32" and estimator in _DIFFERENCES:
        problem = f"rounding in precision {precision!r} drowns the difference"
        return Misfit("method.estimator", estimator, problem, "use estimator: auto, or precision: float32")
    if compiled and estimator in _LOOK_INSIDE:
        problem = "it cannot look inside a compiled model"
        return Misfit("method.estimator", estimator, problem, "use estimator: auto, or compile: false")
    if channels_last and isinstance(model, MlpModel | TextModel):
        problem = f"model {model.name!r} takes no images"
        return Misfit("channels_last", True, problem, "leave it out")
    return None
