"""Where one trial's checkpoints lie: the few operations on files that checkpoints need."""

import os
from pathlib import Path
from typing import Protocol

_DRAFT = ".tmp"


class CheckpointFiles(Protocol):
    """Files of one trial, by name. What fails raises OSError."""

    def names(self) -> list[str]:
        """Those that were written wholly, in order; none where there never were any."""

    def read(self, name: str) -> bytes:
        """The content of one."""

    def write(self, name: str, content: bytes) -> None:
        """Make one: it is there wholly or not at all, whatever happens meanwhile."""

    def remove(self, name: str) -> None:
        """Delete one, where it is still there."""

    def sweep(self) -> None:
        """Delete what killed processes left half written."""


class LocalFiles:
    """Files in a folder, which is made with the first of them.

    Args:
        folder: The trial's own folder, reachable from every node that may run it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """See `CheckpointFiles`."""
        return [name for name in self._entries() if not name.endswith(_DRAFT)]

    def read(self, name: str) -> bytes:
        """See `CheckpointFiles`."""
        return (self._folder / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write a draft, and rename it once its content is on the disk; then the name is made to last too."""
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
        """See `CheckpointFiles`."""
        (self._folder / name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """See `CheckpointFiles`; who calls it is the only one to write here."""
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
