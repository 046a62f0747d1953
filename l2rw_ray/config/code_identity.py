"""What identifies the code behind an import path, its text or its release, and what identifies a file."""

import hashlib
import os
import platform
import stat
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

from l2rw_ray.errors import InputError
from l2rw_ray.import_path import is_local, locate, package_name
from l2rw_ray.weight_files import local_path

_COUNTED = (".json", ".safetensors", ".bin", ".txt", ".model")
"""Endings of the files that a network of Hugging Face consists of."""


def code_identity(import_paths: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the identity of each top-level package that these import paths start with, by name.

    Args:
        import_paths: Field and import path of each.

    Returns:
        For custom code the SHA-256 of its `.py` files, names and texts, in order; for an
        installed package its name and version; for Python's own modules Python's version.

    Raises:
        InputError: There is no such module.
    """
    places = {package_name(path): locate(path, field) for field, path in import_paths}
    return {
        name: _source_hash(place) if is_local(place) else _release(name) for name, place in places.items()
    }


def content_hash(field: str, file: str) -> str:
    """Return the SHA-256 of a file's content.

    Args:
        field: The field that names it.
        file: Its path.

    Raises:
        InputError: It cannot be read.
    """
    path = Path(os.path.expanduser(file))
    try:
        found = path.stat()
        return _hash_of(path, found.st_size, found.st_mtime_ns)
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise InputError(field, file, reason, "check the path") from error


def weights_hash(field: str, given: str) -> str:
    """Return the SHA-256 of a file, or of the files of a folder that a network of Hugging Face consists of.

    Args:
        field: The field that names it.
        given: A path, or `package:NAME/PATH`.

    Raises:
        InputError: It cannot be read.
    """
    path = local_path(field, given)
    if not os.path.isdir(path):
        return content_hash(field, str(path))
    counted = sorted(each for each in path.iterdir() if each.suffix in _COUNTED)
    parts = [f"{each.name} {content_hash(field, str(each))}" for each in counted]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@lru_cache
def _hash_of(path: Path, size: int, changed_ns: int) -> str:
    """Return the SHA-256 of a file, read once for all trials of a plan."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def own_files(place: Path) -> Iterator[Path]:
    """Yield the files of a package or module in order, but not compiled ones.

    Args:
        place: The package's folder, or the module's file.

    Raises:
        InputError: It holds a link, a pipe or a device, which may lead to other files.
    """
    mode = place.lstat().st_mode
    if stat.S_ISREG(mode):
        yield place
    elif stat.S_ISDIR(mode):
        for inner in sorted(place.iterdir()):
            if inner.name != "__pycache__":
                yield from own_files(inner)
    else:
        kind = "a link" if stat.S_ISLNK(mode) else "a pipe or device"
        raise InputError("own code", place, kind, "put the file itself in its place")


def _source_hash(place: Path) -> str:
    digest = hashlib.sha256()
    files = sorted(own_files(place))
    for file in files if place.is_file() else [file for file in files if file.suffix == ".py"]:
        text = file.read_bytes()
        digest.update(f"{file.relative_to(place.parent).as_posix()}\0{len(text)}\0".encode())
        digest.update(text)
    return digest.hexdigest()


@lru_cache
def _release(name: str) -> str:
    distributions = sorted(set(packages_distributions().get(name, ())))
    releases = [f"{distribution} {version(distribution)}" for distribution in distributions]
    return ", ".join(releases) or f"python {platform.python_version()}"
