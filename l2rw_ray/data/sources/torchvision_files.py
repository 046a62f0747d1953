"""Check file by file whether a copy of a torchvision data set is complete."""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PART_BYTES = 2**20
_CRC_AND_SIZE = 8
"""Bytes at the end of a gzip file: CRC-32 and length of its content, RFC 1952."""


@dataclass(frozen=True)
class CopyState:
    """State of a copy's files.

    Attributes:
        files: Number of files of a complete copy.
        compared: How many match the MD5 that is published with torchvision.
        fault: Problem of the first file that is missing or damaged; None where there is none.
    """

    files: int
    compared: int
    fault: str | None


def inspect_copy(dataset: Any, folder: Path) -> CopyState:
    """Compare the files in a folder with torchvision's checksums.

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
    """Yield for each file its problem, or whether it could be compared."""
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
    """Return whether a file differs from its packed form, by the checksum at the end of that."""
    checksum, size = 0, unpacked.stat().st_size % 2**32
    with unpacked.open("rb") as file:
        while part := file.read(_PART_BYTES):
            checksum = zlib.crc32(part, checksum)
    wanted = packed.read_bytes()[-_CRC_AND_SIZE:]
    found = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
    return None if found == wanted else f"{unpacked.name} is not what {packed.name} holds"
