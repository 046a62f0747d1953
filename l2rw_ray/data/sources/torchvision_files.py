"""Whether a copy of a data set in torchvision's form is whole, file by file."""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PART_BYTES = 2**20
_CRC_AND_SIZE = 8
"""Bytes at the end of a gzip file: CRC-32 and length of what it holds, RFC 1952."""


@dataclass(frozen=True)
class CopyState:
    """What is known of a copy's files.

    Attributes:
        files: How many there have to be.
        compared: How many match the MD5 that is published with torchvision.
        fault: What is wrong with the first that is missing or damaged; None where nothing is.
    """

    files: int
    compared: int
    fault: str | None


def inspect_copy(dataset: Any, folder: Path) -> CopyState:
    """Compare the files under a folder with what torchvision says of them.

    MNIST's and Fashion-MNIST's published MD5s are those of the packed files, so that a copy without
    these cannot be compared.

    Args:
        dataset: Class of `torchvision.datasets`.
        folder: Its folder, such as `cifar-10-batches-py` or `MNIST`.
    """
    checks = list(_idx_checks(dataset, folder) if hasattr(dataset, "resources") else _checks(dataset, folder))
    faults = [check for check in checks if isinstance(check, str)]
    return CopyState(len(checks), checks.count(True), faults[0] if faults else None)


def _checks(dataset: Any, folder: Path) -> Iterator[str | bool]:
    """For each file, what is wrong with it, or whether it could be compared."""
    meta = [dataset.meta["filename"], dataset.meta["md5"]]
    for name, md5 in [*dataset.train_list, *dataset.test_list, meta]:
        yield _fault(folder / name, md5) or True


def _idx_checks(dataset: Any, folder: Path) -> Iterator[str | bool]:
    for name, md5 in dataset.resources:
        packed = folder / "raw" / name
        unpacked = packed.with_suffix("")
        if not unpacked.is_file():
            yield f"{unpacked.name} is missing"
        elif not packed.is_file():
            yield False
        else:
            yield _fault(packed, md5) or _differs(unpacked, packed) or True


def _fault(path: Path, md5: str) -> str | None:
    if not path.is_file():
        return f"{path.name} is missing"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return None if found == md5 else f"{path.name} has MD5 {found}, not {md5}"


def _differs(unpacked: Path, packed: Path) -> str | None:
    """A file that is not what its packed one holds, by the checksum at that one's end."""
    checksum, size = 0, unpacked.stat().st_size % 2**32
    with unpacked.open("rb") as file:
        while part := file.read(_PART_BYTES):
            checksum = zlib.crc32(part, checksum)
    wanted = packed.read_bytes()[-_CRC_AND_SIZE:]
    found = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
    return None if found == wanted else f"{unpacked.name} is not what {packed.name} holds"
