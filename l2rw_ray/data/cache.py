"""Decode once: arrays kept on disk, and read back without being copied into memory.

An entry is one `.npy` file with a checksum behind it, which numpy does not look at.
"""

import hashlib
import json
import mmap
import os
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_VERSION = 2
_CHECKSUM_BYTES = 4
Array = np.ndarray[Any, Any]


def cache_folder() -> Path:
    """`$L2RW_RAY_CACHE`, or `l2rw_ray` in `$XDG_CACHE_HOME` or `~/.cache`."""
    own = os.environ.get("L2RW_RAY_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "l2rw_ray"


def cached(identity: Any, decode: Callable[[], Array]) -> Tensor:
    """The decoded array, from the cache where it is there and whole.

    It is memory-mapped copy-on-write, so that the workers of a machine share one copy; what a
    process writes to it, it keeps to itself. Processes that decode the same at once each write the
    whole entry, and the last one stays. A cache that cannot be written costs time, nothing else.

    Args:
        identity: JSON-able description of what is decoded; another one is another entry.
        decode: Makes the array.
    """
    canonical = json.dumps([_VERSION, identity], sort_keys=True)
    entry = cache_folder() / f"{hashlib.sha256(canonical.encode()).hexdigest()}.npy"
    array = _read(entry)
    if array is None:
        array = decode()
        array = _read(entry) if _write(entry, array) else array
        assert array is not None, "an entry just written is whole"
    return torch.from_numpy(array)


def _read(entry: Path) -> Array | None:
    """The array of a whole entry; None where there is none, or a damaged one."""
    try:
        with entry.open("rb") as file:
            if not _is_whole(file.fileno()):
                return None
        array: Array = np.load(entry, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return array


def _is_whole(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    if size <= _CHECKSUM_BYTES:
        return False
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
        return _checksum(view[:-_CHECKSUM_BYTES]) == bytes(view[-_CHECKSUM_BYTES:])


def _checksum(content: memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big")


def _write(entry: Path, array: Array) -> bool:
    """Write an entry, wholly or not at all, and say whether it is there."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=entry.parent, suffix=".tmp", delete=False) as file:
            try:
                _fill(file, array)
                Path(file.name).replace(entry)
            finally:
                Path(file.name).unlink(missing_ok=True)
    except OSError:
        return False  # read-only or full: every process decodes for itself
    return True


def _fill(file: Any, array: Array) -> None:
    np.save(file, array)
    file.flush()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
        checksum = _checksum(view)
    file.write(checksum)
    file.flush()
    os.fsync(file.fileno())  # a crash must not leave a name without its content
