"""What the searches of a tuned comparison leave open: edges of the space, and unequal spaces."""

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

from l2rw_ray.config.design.space import CategoricalParameter, FloatParameter, IntParameter, range_text
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.report.design_points.labels import count, factor_name
from l2rw_ray.report.search.summary import value_text

_EDGE = 0.05
"""Share of a range, on its scale, next to either end."""
_MOST_NAMED = 4


def is_at_edge(parameter: FloatParameter | IntParameter | CategoricalParameter, value: Any) -> bool:
    """Return whether a chosen value lies at an end of its range, so that a better one may lie beyond."""
    if isinstance(parameter, CategoricalParameter) or not isinstance(value, int | float):
        return False
    low, high, at = float(parameter.low), float(parameter.high), float(value)
    if parameter.log:
        low, high, at = log(low), log(high), log(at)
    share = (at - low) / (high - low)
    return share <= _EDGE or share >= 1 - _EDGE


def edge_warnings(
    design: TunedComparisonDesign, chosen: Sequence[tuple[str, str, Mapping[str, Any]]]
) -> list[str]:
    """Return a warning of the choices at the edge of the space.

    Args:
        design: The design.
        chosen: Arm, name and chosen values by path of each search.
    """
    at_edge, numbers = [], 0
    for arm, name, values in chosen:
        for path, parameter in design.space_of(arm).items():
            value = values.get(path)
            if isinstance(parameter, CategoricalParameter) or value is None:
                continue
            numbers += 1
            if is_at_edge(parameter, value):
                within = range_text(parameter)
                at_edge.append(f"{name}: {factor_name(path)} {value_text(path, value)} ({within})")
    if not at_edge:
        return []
    named = "; ".join(at_edge[:_MOST_NAMED]) + ("; …" if len(at_edge) > _MOST_NAMED else "")
    of = f"{len(at_edge)} of {count(numbers, 'chosen value')}"
    return [f"{of} lie at the edge of the space, beyond which a better one may lie ({named})"]


def unequal_spaces(design: TunedComparisonDesign) -> list[str]:
    """Return a warning where arms search different numbers of parameters with one budget."""
    if not design.unequal_spaces:
        return []
    return [
        "All arms are searched with the same budget, but vary different numbers of parameters "
        f"({design.unequal_spaces}): an arm with more of them is searched less closely, and may look worse "
        "for that alone"
    ]
