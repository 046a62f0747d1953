"""Trained models that outlive their trial, each in a file that holds all it takes to build it again."""

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from l2rw_ray.config.trial import TrialConfig
from l2rw_ray.errors import InputError
from l2rw_ray.methods.registry import adapted_network
from l2rw_ray.models import build_model

_FORMAT = 1
_UNREADABLE = (RuntimeError, EOFError, OSError, pickle.UnpicklingError, KeyError, TypeError, ValueError)
"""What loading another file, or building its model, may raise."""
_REMEDY = "give a file that a study with `keep: {models: true}` wrote"


@dataclass(frozen=True)
class SavedModel:
    """A trained model as it was evaluated on the test set.

    Attributes:
        network: The model itself, not wrapped.
        config: The trial it was trained in.
        input_shape: Shape of one input. Images want values from −1 to 1.
        outputs: Number of outputs.
        class_names: What these stand for, in order; a regression has one name.
        scales: `mean` and `std` of features and `target_mean` and `target_std` of targets, by which inputs
            are to be standardised and outputs are; none of images and classes.
    """

    network: nn.Module
    config: TrialConfig
    input_shape: tuple[int, ...]
    outputs: int
    class_names: tuple[str, ...]
    scales: Mapping[str, Tensor]


def save_model(path: Path, model: SavedModel) -> None:
    """Write a trained model to a file, replacing an earlier one in one step.

    Args:
        path: The file; its folder is made, in one that is there.
        model: The model.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(exist_ok=True)  # not its parents: where they are missing, this is another machine
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    content = {
        "format": _FORMAT,
        "config": model.config.model_dump_json(),
        "input_shape": model.input_shape,
        "outputs": model.outputs,
        "class_names": model.class_names,
        "scales": {name: scale.cpu() for name, scale in model.scales.items()},
        "state": {name: value.cpu() for name, value in model.network.state_dict().items()},
    }
    try:
        with draft.open("wb") as file:
            torch.save(content, file)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def load_model(path: Path, *, own_code: bool = True) -> SavedModel:
    """The model of a file that `save_model` wrote, on the CPU and in evaluation mode.

    Args:
        path: The file.
        own_code: Whether a model of the user's own may be built by the user's own code, which must be
            importable.

    Raises:
        InputError: There is no such file, it is no such file, or its model can no longer be built.
    """
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        if kept["format"] != _FORMAT:
            raise InputError("model file", path, f"has format {kept['format']}", _REMEDY)
        config = TrialConfig.model_validate_json(kept["config"])
        if config.import_paths and not own_code:
            raise InputError("model file", path, "is built by the user's own code", "load it yourself")
        shape, outputs = tuple(kept["input_shape"]), kept["outputs"]
        network = build_model(config.model.name, shape, outputs, config.model.options)
        network = adapted_network(config.method, network)
        network.load_state_dict(kept["state"])
        return SavedModel(network.eval(), config, shape, outputs, tuple(kept["class_names"]), kept["scales"])
    except FileNotFoundError:
        raise InputError("model file", path, "no such file", _REMEDY) from None
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError("model file", path, f"cannot be read ({reason})", _REMEDY) from error
