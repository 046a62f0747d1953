"""Fill a network with trained weights; a head for another number of classes stays as it is."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from l2rw_ray.errors import ConfigError
from l2rw_ray.models.pretrained.state_files import FIELD

_SHOWN = 3
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.", "aux_classifier.")
"""Classifiers beside the head, which the networks of a study are built without."""
_WRAPPERS = ("module.", "_orig_mod.", "model.")
"""What DistributedDataParallel, torch.compile and Lightning put in front of every name."""
_COUNTER = "num_batches_tracked"
_OF_EARLIER_DENSENETS = re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.(?=[12]\.)")
"""`norm.1`, which torchvision's releases of DenseNet have for `norm1`."""


@dataclass(frozen=True)
class LoadedWeights:
    """What a network took from trained weights.

    Attributes:
        source: The weights, as the study names them.
        loaded: Tensors that were taken.
        total: Tensors of the network.
        head: Name of the layer that starts fresh; None where none does.
        head_outputs: Outputs of the weights' own head; None where they have none.
        classes: Outputs of the network.
    """

    source: str
    loaded: int
    total: int
    head: str | None
    head_outputs: int | None
    classes: int

    @property
    def text(self) -> str:
        """What was loaded, and which layer is new, in one line."""
        taken = f"{self.loaded} of {self.total} tensors of the network are those of {self.source}"
        if self.head is None:
            return taken
        former = "has none" if self.head_outputs is None else f"has {self.head_outputs:,}"
        return f"{taken}; its head {self.head} is new, with {self.classes:,} outputs where that {former}"


def fill(
    network: nn.Module,
    state: Mapping[str, Tensor],
    classes: int,
    source: str,
    *,
    name: str,
    by_order: bool = False,
) -> LoadedWeights:
    """Copy trained weights into a network.

    Args:
        network: Freshly initialised, on the CPU.
        state: The weights by name.
        classes: Outputs of the network.
        source: The weights, as the study names them.
        name: The network, as the study names it.
        by_order: Whether tensors are paired by their order rather than their names.

    Returns:
        What was loaded.

    Raises:
        ConfigError: They are not those of this network.
    """
    own = network.state_dict()
    state = _without_prefix(state, own)
    state = {key if key in own else _OF_EARLIER_DENSENETS.sub(r"\1", key): state[key] for key in state}
    given = {key: value for key, value in state.items() if key in own or not key.startswith(_AUXILIARY)}
    if by_order:
        given = _paired_by_order(own, given, source, name)
    _check_numbers(own, given, source)
    missing = {key for key in own if key not in given and not key.endswith(_COUNTER)}
    unexpected = [key for key in given if key not in own]
    reshaped = {key for key in own if key in given and own[key].shape != given[key].shape}
    head = _head(own, given, missing | reshaped, classes)
    if unexpected or (head is None and missing | reshaped):
        complaint = _complaint(own, given, [key for key in own if key in missing], unexpected, reshaped)
        remedy = "name the network that they are of"
        if len(own) == len(given) and not reshaped:
            remedy += ", or pair them by match: order"
        raise ConfigError(FIELD, source, f"not the weights of {name}: {complaint}", remedy)
    with torch.no_grad():
        taken = [key for key in own if key in given and (head is None or _layer(key) != head)]
        for key in taken:
            own[key].copy_(given[key])
    former = next((len(given[key]) for key in reshaped), None)
    return LoadedWeights(source, len(taken), len(own), head, former, classes)


def _without_prefix(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return tensors by the network's names, without what a wrapper put in front of each."""
    while state and not own.keys() & state.keys():
        prefix = next((each for each in _WRAPPERS if all(key.startswith(each) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _check_numbers(own: Mapping[str, Tensor], given: Mapping[str, Tensor], source: str) -> None:
    """Check that weights are finite numbers of the kind that the network has."""
    for key, tensor in given.items():
        if key not in own or not own[key].is_floating_point():
            continue
        if not tensor.is_floating_point():
            problem = f"{key} holds {str(tensor.dtype).removeprefix('torch.')}"
            raise ConfigError(FIELD, source, problem, "give weights that are not quantised")
        if not tensor.isfinite().all():
            raise ConfigError(FIELD, source, f"{key} is not finite", "give weights of a training that held")


def _head(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], fresh: Collection[str], classes: int
) -> str | None:
    """Return the layer that all these tensors are of, if it has an output for each class; else None.

    Weights may lack a part of the last layer, such as its bias; a layer within lacks all of it to be a head.
    """
    layers, layer_of = {_layer(key) for key in fresh}, [_layer(key) for key in own]
    if len(layers) != 1:
        return None
    if layer_of[-1] not in layers and len(fresh) < sum(layer in layers for layer in layer_of):
        return None
    fits = all(
        own[key].ndim > 0
        and len(own[key]) == classes
        and (key not in given or given[key].shape[1:] == own[key].shape[1:])
        for key in fresh
    )
    return layers.pop() if fits else None


def _paired_by_order(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], source: str, name: str
) -> dict[str, Tensor]:
    """Return weights under the names of the network's tensors at the same place."""
    if len(own) != len(given):
        problem = f"{len(given)} tensors, {name} has {len(own)}"
        raise ConfigError(FIELD, source, problem, "name the network that they are of")
    for key, other in zip(own, given, strict=True):
        if _kind(key) != _kind(other) or own[key].shape[1:] != given[other].shape[1:]:
            problem = (
                f"{other} {list(given[other].shape)} stands where {name} has {key} {list(own[key].shape)}"
            )
            raise ConfigError(FIELD, source, problem, "name the network that they are of")
    return dict(zip(own, given.values(), strict=True))


def _layer(key: str) -> str:
    return key.rpartition(".")[0]


def _kind(key: str) -> str:
    return key.rpartition(".")[2]


def _complaint(
    own: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    missing: list[str],
    unexpected: list[str],
    reshaped: Collection[str],
) -> str:
    others = [
        f"{key} {list(given[key].shape)} instead of {list(own[key].shape)}" for key in own if key in reshaped
    ]
    parts = (("missing", missing), ("unknown", unexpected), ("of another shape", others))
    return "; ".join(f"{len(keys)} {what} ({_first(keys)})" for what, keys in parts if keys)


def _first(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (", …" if len(keys) > _SHOWN else "")
