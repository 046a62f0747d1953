"""Decode once: arrays kept on disk, and read back without being copied into memory.

An entry is one `.npy` file followed by a checksum, which numpy ignores.
"""

import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from time import time
from typing import IO, Any, Literal

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.cache_folder import cache_folder

_VERSION = 2
_CHECKSUM_BYTES = 4
_PART_BYTES = 2**20
_DAY_S = 24 * 3600.0
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class CacheSection:
    """A part of the cache with a size limit; least recently used entries are evicted first.

    Attributes:
        name: Its folder in the cache.
        max_bytes: What its entries may take beside those of the last day, which another machine may have
            mapped over a network.
    """

    name: str
    max_bytes: int


def cached(identity: Any, decode: Callable[[], Array], section: CacheSection | None = None) -> Tensor:
    """Return the decoded array, from the cache if an intact entry exists.

    It is memory-mapped copy-on-write, so that the workers of a machine share one copy and a process's writes
    stay private. Processes that decode the same at once each write the whole entry, and the last one stays. A
    cache that cannot be written costs only time.

    Args:
        identity: JSON-serialisable description of what is decoded; it selects the entry.
        decode: Makes the array.
        section: The part of the cache where there are more and more of such entries; None where there are
            few.
    """
    canonical = json.dumps([_VERSION, identity], sort_keys=True)
    folder = cache_folder() / section.name if section else cache_folder()
    entry = folder / f"{hashlib.sha256(canonical.encode()).hexdigest()}.npy"
    array = _read(entry)
    if array is None:
        array = decode()
        stored = _read(entry) if _write(entry, array) else None
        array = array if stored is None else stored
    if section is not None:
        _evict(entry, section)
    return torch.from_numpy(array)


def cached_kept(identity: Mapping[str, object], whole: Tensor, kept_N: Array) -> Tensor:
    """Return some rows of an entry, cached as an entry of their own; the entry itself if all are kept.

    Args:
        identity: That of `whole`.
        whole: The entry, [N, …].
        kept_N: Which rows, bool [N].
    """
    if kept_N.all():
        return whole
    kept = hashlib.sha256(np.packbits(kept_N).tobytes()).hexdigest()
    return cached({**identity, "kept": kept}, lambda: whole.numpy()[kept_N])


def _read(entry: Path) -> Array | None:
    """Return the array of an intact entry; None where it is missing, damaged or another user's."""
    try:
        with open(entry, "rb", opener=_opened_without_links) as file:
            if os.fstat(file.fileno()).st_uid != os.getuid() or not _is_whole(file):
                return None
            file.seek(0)
            return _mapped(file)
    except (OSError, ValueError):
        return None


def _opened_without_links(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _mapped(file: IO[bytes]) -> Array:
    """Return the array of an open `.npy` file, mapped copy-on-write; its path may be another file by now.

    Raises:
        ValueError: It is no such file, or holds objects.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("an array of objects")
    order: Literal["C", "F"] = "F" if is_fortran else "C"
    if not prod(shape):
        empty: Array = np.empty(shape, dtype, order)
        return empty
    mapped: Array = np.memmap(file, dtype, mode="c", offset=file.tell(), shape=shape, order=order)
    return mapped


def _is_whole(file: IO[bytes]) -> bool:
    size = os.fstat(file.fileno()).st_size - _CHECKSUM_BYTES
    return size > 0 and _checksum(file, size) == file.read()


def _checksum(file: IO[bytes], size: int) -> bytes:
    """Return the CRC-32 of the next `size` bytes, read in parts: a mapped file would count twice."""
    value = 0
    while size > 0 and (part := file.read(min(size, _PART_BYTES))):
        value, size = zlib.crc32(part, value), size - len(part)
    return value.to_bytes(_CHECKSUM_BYTES, "big")


def _write(entry: Path, array: Array) -> bool:
    """Write an entry atomically. Returns whether it is there."""
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


def _evict(last: Path, section: CacheSection) -> None:
    """Mark an entry as used; evict entries beyond the limit and leftovers of killed processes."""
    with suppress(OSError):  # it could not be written
        os.utime(last)
    with suppress(OSError):
        known = {file: file.stat() for file in last.parent.iterdir()}
        held, yesterday = 0, time() - _DAY_S
        old = [file for file in known if known[file].st_mtime < yesterday]
        for file in sorted(old, key=lambda file: known[file].st_mtime_ns, reverse=True):
            is_draft = file.suffix == ".tmp"
            held += 0 if is_draft else known[file].st_size
            if is_draft or held > section.max_bytes:
                file.unlink(missing_ok=True)


def _fill(file: IO[bytes], array: Array) -> None:
    np.save(file, array, allow_pickle=False)
    size = file.tell()
    file.seek(0)
    checksum = _checksum(file, size)
    file.seek(size)  # between reading and writing
    file.write(checksum)
    file.flush()
    os.fsync(file.fileno())  # a crash must not leave a name without its content
