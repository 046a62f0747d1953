"""Files in one folder of an object store, written atomically."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.remote.location import Location
from l2rw_ray.retries import retry_transient

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

_ODD = {"", ".", ".."}
"""What no part of a file's name may be: a stranger may have written to the store."""


@dataclass(frozen=True)
class StoreFiles:
    """Reads and writes files by name below a folder. It can be sent to other nodes.

    Each method raises OSError when the store refuses or stays out of reach.

    Attributes:
        location: The study folder.
        folder: A folder in it, without slashes at its ends; empty for the study folder itself.
    """

    location: Location
    folder: str = ""

    def __str__(self) -> str:
        return self.location.inside(self.folder)

    def write(self, name: str, content: bytes) -> None:
        """Write a file, replacing an earlier one atomically."""
        filesystem, path = self._opened(name)

        def put() -> None:
            with filesystem.open_output_stream(path, compression=None) as stream:
                stream.write(content)

        retry_transient(put)

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            FileNotFoundError: There is no such file.
        """
        filesystem, path = self._opened(name)

        def get() -> bytes:
            with filesystem.open_input_stream(path, compression=None) as stream:
                return bytes(stream.read())

        return retry_transient(get)

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        filesystem, path = self._opened(name)
        try:
            retry_transient(lambda: filesystem.delete_file(path))
        except FileNotFoundError:
            return

    def sweep(self) -> None:
        """Do nothing: writes to a store leave no drafts."""

    def names(self, below: str = "", *, deep: bool = False) -> list[str]:
        """Return the names of the files in a folder, sorted; with `deep` also those in its subfolders."""
        return sorted(self.listed(below, deep=deep))

    def listed(self, below: str = "", *, deep: bool = False) -> "dict[str, FileInfo]":
        """Return the files in a folder with the store's information on each."""
        from pyarrow.fs import FileSelector, FileType

        filesystem, base = self._opened()
        path = f"{base}/{below}".rstrip("/")
        selector = FileSelector(path, recursive=deep, allow_not_found=True)
        found = retry_transient(lambda: filesystem.get_file_info(selector))
        named = {file.path.removeprefix(f"{base}/"): file for file in found if file.type is FileType.File}
        for name in named:
            if not _ODD.isdisjoint(name.split("/")) or "\\" in name or "\0" in name:
                raise OSError(f"it holds a file that would lie outside of the folder, {name!r}: remove it")
        return named

    def info(self, name: str) -> "FileInfo":
        """Return the store's information on one file."""
        filesystem, path = self._opened(name)
        return retry_transient(lambda: filesystem.get_file_info(path))

    def _opened(self, name: str = "") -> "tuple[FileSystem, str]":
        try:
            filesystem, root = self.location.open()
        except StudyFolderError as error:  # for example a region that cannot be determined now
            raise OSError(str(error)) from error
        return filesystem, "/".join(part for part in (root, self.folder, name) if part)
