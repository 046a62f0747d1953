"""Read the tensors of a file of weights, without running any code that it may hold."""

import pickle
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from l2rw_ray.errors import ConfigError, first_line
from l2rw_ray.weight_files import local_path

FIELD = "model.weights"
_SAFE = ".safetensors"
_INSIDE = ("state_dict", "model_state_dict", "state", "model")
"""Where training scripts put the state dict in what they save, models of this package among them."""
_REMEDY = "give a file of safetensors, or of a state dict saved by torch.save"
_UNREADABLE = (
    *(RuntimeError, EOFError, OSError, pickle.UnpicklingError),
    *(LookupError, TypeError, ValueError, AttributeError),
)
"""What reading any file as weights may raise."""


def read_state(given: str) -> Mapping[str, Tensor]:
    """Return the tensors of a file by name, in its order, on the CPU; they are not to be written to.

    Args:
        given: The file, as `model.weights` names it.

    Raises:
        ConfigError: It does not exist, or holds no tensors by name.
    """
    path = local_path(f"trial.{FIELD}", given)
    try:
        found = path.stat()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(FIELD, given, reason, "check the path") from error
    try:
        state = _read(path, found.st_size, found.st_mtime_ns)
    except _UNREADABLE as error:
        raise ConfigError(FIELD, given, _problem_of(error), _REMEDY) from error
    if not state:
        raise ConfigError(FIELD, given, "holds no tensors by name", _REMEDY)
    return state


@lru_cache(maxsize=1)
def _read(path: Path, size: int, changed_ns: int) -> Mapping[str, Tensor]:
    """Return the tensors of a file; those of the last one are kept for the trials that follow."""
    if path.suffix == _SAFE:
        return _safe_tensors(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is then refused in a line
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
    return _tensors_of(held)


def _problem_of(error: Exception) -> str:
    """Return why a file cannot be read; torch's own words advise to run the code that it may hold."""
    text = str(error)
    if "TorchScript" in text:
        return "is an archive of TorchScript"
    if isinstance(error, pickle.UnpicklingError | LookupError | AttributeError):
        return "holds Python objects beside tensors" if "GLOBAL" in text else "is no file of tensors"
    return f"cannot be read as weights ({first_line(error)})"


def _safe_tensors(path: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _tensors_of(held: Any) -> Mapping[str, Tensor]:
    """Return a state dict, or the one inside what a training script saved."""
    if not isinstance(held, Mapping):
        return {}
    inside = next((held[name] for name in _INSIDE if isinstance(held.get(name), Mapping)), held)
    found = {str(name): value for name, value in inside.items() if isinstance(value, Tensor)}
    for name, value in found.items():
        if value.layout is not torch.strided or value.is_quantized or value.device.type != "cpu":
            raise ValueError(f"{name} holds no plain numbers")
    return found
