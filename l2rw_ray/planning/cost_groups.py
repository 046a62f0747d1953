"""Group trials by the cost of their steps, and choose representative groups to time."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from l2rw_ray.config import PlannedTrial
from l2rw_ray.config.data.protocols import TwoClassBias

_COSTS_NOTHING: Any = {
    "data": {"noise", "root", "download"},
    "selection": True,
    "optim": {
        "lr",
        "schedule",
        "betas",
        "eps",
        "momentum",
        "dampening",
        "nesterov",
        "weight_decay",
        "epochs",
    },
}
"""Fields that do not change the time of a step; epochs are counted separately."""
_OTHER_VALUE, _ONLY_ONE_HAS_IT = 4.0, 1.0
"""Distance between two names (as between numbers that differ 16-fold), and between a field and its
absence."""


@dataclass(frozen=True)
class CostGroup:
    """Trials whose steps take equally long.

    Attributes:
        fields: Values that the time of a step depends on, by path.
        trials: The trials of this group, at least one.
    """

    fields: Mapping[str, Any]
    trials: Sequence[PlannedTrial]

    @property
    def train_size(self) -> int | None:
        """Examples in the train set, where the study says so."""
        return self.trials[0].built_in.data.train_size


def group_by_cost(trials: Iterable[PlannedTrial]) -> list[CostGroup]:
    """Group trials by what the time of their steps depends on, groups in plan order.

    Fields not known to be free of cost separate groups.

    Args:
        trials: Trials of a study.
    """
    found: dict[str, tuple[Mapping[str, Any], list[PlannedTrial]]] = {}
    for trial in trials:
        fields = _fields(trial)
        found.setdefault(repr(fields), (fields, []))[1].append(trial)
    return [CostGroup(fields, members) for fields, members in found.values()]


def _fields(trial: PlannedTrial) -> dict[str, Any]:
    config = trial.built_in.model_dump(mode="json", exclude=_COSTS_NOTHING)
    if trial.built_in.data.train_size is not None and not isinstance(trial.built_in.data.bias, TwoClassBias):
        config["data"].pop("bias", None)  # it sets the number of train examples otherwise
    return dict(_flat({"trial": config, "resources": trial.resources.model_dump()}))


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in sorted(section.items()):
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def farthest_first(kinds: Sequence[CostGroup], count: int) -> list[CostGroup]:
    """Choose groups so that every other is near one of them: each next one is farthest from those before.

    Args:
        kinds: At least one group; the first is chosen first.
        count: Largest number to choose.
    """
    chosen = [kinds[0]]
    nearest = [distance(kind, kinds[0]) for kind in kinds]
    while len(chosen) < min(count, len(kinds)):
        place = max(range(len(kinds)), key=nearest.__getitem__)
        chosen.append(kinds[place])
        nearest = [min(old, distance(kind, chosen[-1])) for kind, old in zip(kinds, nearest, strict=True)]
    return chosen


def distance(one: CostGroup, other: CostGroup) -> float:
    """Return the distance of two groups: the sum over their fields, of numbers the number of doublings."""
    return sum(
        _apart(one.fields[name], other.fields[name])
        if name in one.fields and name in other.fields
        else _ONLY_ONE_HAS_IT
        for name in one.fields.keys() | other.fields.keys()
    )


def _apart(one: Any, other: Any) -> float:
    if one == other:
        return 0.0
    if all(isinstance(value, int | float) and value > 0 for value in (one, other)):
        return abs(math.log2(one / other))
    return _OTHER_VALUE
