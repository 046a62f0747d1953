"""The file operations that checkpoints need, and their implementation in a folder."""

import os
from pathlib import Path
from typing import Protocol

_DRAFT = ".tmp"


class CheckpointFiles(Protocol):
    """Files of one trial, by name. Failures raise OSError."""

    def names(self) -> list[str]:
        """Return the names of complete files, sorted."""

    def read(self, name: str) -> bytes:
        """Return the content of a file."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically: after a crash it is complete or absent."""

    def remove(self, name: str) -> None:
        """Delete a file if it exists."""

    def sweep(self) -> None:
        """Delete drafts that killed processes left. Only the caller may be writing."""


class LocalFiles:
    """Files in a folder, which the first write creates.

    Args:
        folder: The trial's folder, reachable from every node that may run it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Return the names of all files but drafts, sorted."""
        return [name for name in self._entries() if not name.endswith(_DRAFT)]

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return (self._folder / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write and sync a draft, rename it, and sync the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f".{name}.{os.getpid()}{_DRAFT}"
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._folder / name)
        finally:
            draft.unlink(missing_ok=True)
        self._sync_folder()

    def remove(self, name: str) -> None:
        """Delete a file if it exists."""
        (self._folder / name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete all drafts."""
        for name in self._entries():
            if name.endswith(_DRAFT):
                self.remove(name)

    def _entries(self) -> list[str]:
        try:
            return sorted(os.listdir(self._folder))
        except FileNotFoundError:
            return []

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
