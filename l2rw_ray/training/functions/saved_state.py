"""What a training function saves of itself: plain values and tensors, bytes, or files."""

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from l2rw_ray.errors import InputError

State = Mapping[str, Any] | bytes | Path
"""A state: tensors and plain values by name, bytes such as those of `pickle.dumps`, or a file or folder."""
StateSource = State | Callable[[], State]
"""A state, or what returns it when a checkpoint is due."""

_PLAIN = (str, bool, int, float, type(None), Tensor)
_KIND, _CONTENT = "kind", "content"
_MAX_DEPTH = 50


def stored(state: State) -> dict[str, Any]:
    """Return a state in the form that a checkpoint holds.

    Raises:
        InputError: It holds something that is neither a tensor nor a plain value, or is no state.
    """
    if isinstance(state, bytes):
        return {_KIND: "bytes", _CONTENT: _as_tensor(state)}
    if isinstance(state, Path):
        return {_KIND: "files", _CONTENT: _as_tensor(_archive(state))}
    if not isinstance(state, Mapping):
        raise InputError("checkpoint", type(state).__name__, "no state", _REMEDY)
    return {_KIND: "mapping", _CONTENT: _plain(state, "checkpoint")}


def restored(saved: Mapping[str, Any], folder: Path) -> State:
    """Return the state that a checkpoint holds.

    Args:
        saved: What `stored` returned.
        folder: An empty folder, for the files of a state of files.
    """
    content = saved[_CONTENT]
    match saved[_KIND]:
        case "bytes":
            return _as_bytes(content)
        case "files":
            with tarfile.open(fileobj=io.BytesIO(_as_bytes(content))) as archive:
                archive.extractall(folder, filter="data")
            return next(iter(folder.iterdir()))
    state: Mapping[str, Any] = content
    return state


_REMEDY = "give tensors and plain values by name, bytes, or the path of a file or folder"


def _plain(value: Any, field: str, depth: int = 0) -> Any:
    """Return a value made of plain types alone, as `torch.load(weights_only=True)` accepts them."""
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        return {_key(key, field): _plain(each, f"{field}.{key}", depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple) and depth < _MAX_DEPTH:
        parts = [_plain(each, f"{field}[{place}]", depth + 1) for place, each in enumerate(value)]
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, Tensor):
        return value.detach()
    if type(value) in _PLAIN:
        return value
    remedy = "give tensors and plain values, or bytes such as those of pickle.dumps"
    raise InputError(field, type(value).__name__, "no tensor and no plain value", remedy)


def _key(key: Any, field: str) -> str | int:
    if type(key) in (str, int):
        return key  # type: ignore[no-any-return]  # one of the two
    raise InputError(field, key, "a key that is neither text nor a number", "use text")


def _as_tensor(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0)


def _as_bytes(content: Tensor) -> bytes:
    return content.numpy().tobytes()


def _archive(path: Path) -> bytes:
    if not path.exists():
        raise InputError("checkpoint", path, "no such file or folder", "save it before it is reported")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(path, arcname=path.name)
    return buffer.getvalue()
