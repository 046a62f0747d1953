"""Decode once: arrays kept on disk, and read back without being copied into memory."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_VERSION = 1
Arrays = dict[str, np.ndarray[Any, Any]]


def cache_folder() -> Path:
    """`$L2RW_RAY_CACHE`, or `l2rw_ray` in the user's cache folder."""
    if "L2RW_RAY_CACHE" in os.environ:
        return Path(os.environ["L2RW_RAY_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "l2rw_ray"


def cached(identity: Any, decode: Callable[[], Arrays]) -> dict[str, Tensor]:
    """The decoded arrays, from the cache where they are there.

    They are memory-mapped, so that the workers of a machine share one copy; what a process writes
    to them it keeps to itself. A cache that cannot be written costs time, nothing else.

    Args:
        identity: JSON-able description of what is decoded; another one is another entry.
        decode: Makes the arrays.
    """
    canonical = json.dumps([_VERSION, identity], sort_keys=True)
    entry = cache_folder() / hashlib.sha256(canonical.encode()).hexdigest()[:32]
    arrays = _read(entry)
    if arrays is None:
        arrays = decode()
        _write(entry, arrays)
        arrays = _read(entry) or arrays
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _read(entry: Path) -> Arrays | None:
    """The arrays of a whole entry; None where there is none, or a damaged one."""
    try:
        names = json.loads((entry / "names.json").read_text())
        return {name: np.load(entry / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in names}
    except (OSError, ValueError, EOFError):
        return None


def _write(entry: Path, arrays: Arrays) -> None:
    """Write an entry, the list of its arrays last: without it the entry does not count."""
    try:
        entry.mkdir(parents=True, exist_ok=True)
        for name, array in arrays.items():
            _replace(entry / f"{name}.npy", lambda file, array=array: np.save(file, array))  # type: ignore[misc]
        names = json.dumps(list(arrays)).encode()
        _replace(entry / "names.json", lambda file: file.write(names))
    except OSError:
        return  # read-only or full: every process decodes for itself


def _replace(path: Path, write: Callable[[Any], object]) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            write(file)
        except OSError:
            Path(file.name).unlink()
            raise
    Path(file.name).replace(path)
