"""Saved models: files from which a trained model can be rebuilt."""

import os
import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from l2rw_ray.config.trial import TrialConfig
from l2rw_ray.data import Splits
from l2rw_ray.data.categories.encoder import FEATURES, CategoryEncoder
from l2rw_ray.data.text.encoder import TextEncoder
from l2rw_ray.errors import InputError
from l2rw_ray.import_path import is_import_path
from l2rw_ray.methods.registry import adapted_network, output_count
from l2rw_ray.models import build_model
from l2rw_ray.training.ranks import unwrapped
from l2rw_ray.trees import Shapes

_FORMAT = 1
_ENCODERS: dict[str, type[TextEncoder | CategoryEncoder]] = {
    "texts": TextEncoder,
    "categories": CategoryEncoder,
}
_UNREADABLE = (
    *(RuntimeError, EOFError, OSError, pickle.UnpicklingError, LookupError, TypeError, ValueError),
    *(AttributeError, AssertionError, ArithmeticError, MemoryError, struct.error),
)
"""What `torch.load` of any file, or rebuilding its model, may raise."""
_LARGEST_SIZE = 2**31 - 1
_REMEDY = "give a file that a study with `keep: {models: true}` wrote"


@dataclass(frozen=True)
class SavedModel:
    """A trained model as it was evaluated on the test set.

    Attributes:
        network: The model, not wrapped.
        config: The trial it was trained in.
        input_shape: Shape of one input; of a tree a dict or tuple of those of its parts. Images have values
            from −1 to 1, unless there are `scales` of pixels.
        outputs: Number of outputs.
        class_names: Names of the outputs; one for a regression.
        scales: `mean` and `std` to standardise features by, and `target_mean` and `target_std` that targets
            were standardised by; `pixel_mean` and `pixel_std` of pixels from 0 to 1; none for trees and
            classes.
        encoder: What made numbers of texts or categories; None for other inputs.
    """

    network: nn.Module
    config: TrialConfig
    input_shape: Shapes
    outputs: int
    class_names: tuple[str, ...]
    scales: Mapping[str, Tensor]
    encoder: TextEncoder | CategoryEncoder | None = None

    def encode(self, examples: Sequence[Any]) -> dict[str, Tensor]:
        """Return new texts, or rows with categories, as the network takes them.

        Args:
            examples: Texts; or a mapping of column to value for each row.

        Raises:
            InputError: The network takes neither.
        """
        if self.encoder is None:
            problem, remedy = "its inputs are neither texts nor categories", "scale them by `scales`"
            raise InputError("model", self.config.model.name, problem, remedy)
        inputs = self.encoder(examples)
        if "mean" in self.scales:
            numbers = (inputs[FEATURES] - self.scales["mean"]) / self.scales["std"]
            inputs[FEATURES] = numbers.float().nan_to_num(0.0)
        return inputs


def trained_model(model: nn.Module, config: TrialConfig, splits: Splits) -> SavedModel:
    """Return the model of a trial, wrapped or not, with what is needed to use it."""
    train = splits.train
    return SavedModel(
        unwrapped(model),
        config,
        train.input_shape,
        output_count(config.method, splits),
        tuple(splits.class_names),
        train.scales,
        train.encoder,
    )


def save_model(path: Path, model: SavedModel) -> None:
    """Write a trained model to a file, replacing an earlier one in one step.

    Args:
        path: The file. Its folder is created, but not the folder above.
        model: The model.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(exist_ok=True)  # not its parents: they are missing on other machines
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    content = {
        "format": _FORMAT,
        "config": model.config.model_dump_json(),
        "input_shape": model.input_shape,
        "outputs": model.outputs,
        "class_names": model.class_names,
        "scales": {name: scale.cpu() for name, scale in model.scales.items()},
        "encoder": None if model.encoder is None else (_kind(model.encoder), model.encoder.state()),
        "state": {name: value.cpu() for name, value in model.network.state_dict().items()},
    }
    try:
        with draft.open("wb") as file:
            torch.save(content, file)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def stored_model(path: Path, model: SavedModel) -> tuple[str, ...]:
    """Write a trained model as `save_model` does. Returns a warning where that failed."""
    try:
        save_model(path, model)
    except OSError as error:
        return (f"its model could not be saved ({error.strerror or error}): check the study folder",)
    return ()


def load_model(path: Path, *, own_code: bool = False) -> SavedModel:
    """Load a model that `save_model` wrote, on the CPU and in eval mode.

    Args:
        path: The file.
        own_code: Whether to import and call whatever builder or method the file names by an import path.
            Such a file can run anything: ask for it only where you know who wrote the file.

    Raises:
        InputError: The file does not exist, is not a saved model, is larger when loaded than it is, its
            model can no longer be built, or is built by custom code and `own_code` is false.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        if saved["format"] != _FORMAT:
            raise InputError("model file", path, f"has format {saved['format']}", _REMEDY)
        config = TrialConfig.model_validate_json(saved["config"])
        named = [name for name in (config.model.name, config.method.name) if is_import_path(name)]
        if named and not own_code:
            problem = f"is built by custom code, {' and '.join(named)}"
            raise InputError("model file", path, problem, "load it with own_code=True if you trust it")
        shape, outputs = _checked_sizes(saved["input_shape"]), _checked_sizes(saved["outputs"])
        encoder = _encoder_of(saved.get("encoder"))  # earlier releases had none

        def build() -> nn.Module:
            sizes: Mapping[str, Any] = {} if encoder is None else encoder.input_sizes
            built = build_model(config.model.name, shape, outputs, config.model.options, sizes)
            return adapted_network(config.method, built)

        if not named:
            _check_not_larger(build, path)
        network = build()
        network.load_state_dict(saved["state"])
        names, scales = tuple(saved["class_names"]), saved["scales"]
        return SavedModel(network.eval(), config, shape, outputs, names, scales, encoder)
    except FileNotFoundError:
        raise InputError("model file", path, "no such file", _REMEDY) from None
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError("model file", path, f"cannot be read ({reason})", _REMEDY) from error


def _checked_sizes(sizes: Any) -> Any:
    """Return sizes, or a tree of them, as they are.

    Raises:
        ValueError: One is no positive integer, or too large for any model.
    """
    if isinstance(sizes, dict):
        return {str(name): _checked_sizes(inner) for name, inner in sizes.items()}
    if isinstance(sizes, tuple | list):
        return type(sizes)(map(_checked_sizes, sizes))
    if type(sizes) is not int or not 0 < sizes <= _LARGEST_SIZE:
        raise ValueError(f"{sizes!r} is no size")
    return sizes


def _check_not_larger(build: Callable[[], nn.Module], path: Path) -> None:
    """Check, before memory is taken, that a file holds the values of the model that it describes.

    Raises:
        ValueError: The model is larger than the file.
    """
    with torch.device("meta"):
        network = build()
    tensors = [*network.parameters(), *network.buffers()]
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if needed > path.stat().st_size:
        raise ValueError(f"its model would take {needed / 2**20:,.0f} MiB, which it does not hold")


def _kind(encoder: TextEncoder | CategoryEncoder) -> str:
    return next(kind for kind, made in _ENCODERS.items() if isinstance(encoder, made))


def _encoder_of(saved: tuple[str, dict[str, Any]] | None) -> TextEncoder | CategoryEncoder | None:
    return None if saved is None else _ENCODERS[saved[0]](**saved[1])
