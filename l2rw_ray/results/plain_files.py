"""Open files of a study folder, which may come from anyone, without following links or waiting for pipes."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TextIO

from l2rw_ray.errors import StudyFolderError

_REMEDY = "replace it by what it stands for, or remove it"


def check_plain(path: Path) -> Path:
    """Return a path that is a file or a folder, or where there is nothing yet.

    Raises:
        StudyFolderError: It is a link, a pipe or a device.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return path  # opening it raises the error that says why
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise _not_plain(path, mode)
    return path


def plain_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what a folder holds.

    Raises:
        StudyFolderError: The folder, or something in it, is a link, a pipe or a device.
        OSError: The folder cannot be read.
    """
    check_plain(folder)
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
                check_plain(Path(entry.path))
            yield entry


def check_plain_folders(folder: Path, subfolders: Iterable[Path]) -> None:
    """Check a folder and some of its subfolders, not what is in folders within these.

    Raises:
        StudyFolderError: One of them holds a link, a pipe or a device.
    """
    for place in (folder, *subfolders):
        if place.is_dir():
            for _ in plain_entries(place):
                pass


def open_plain(path: Path, mode: Literal["r", "a", "a+"] = "r") -> TextIO:
    """Open a text file, made if `mode` says so, but not what a link or a pipe stands for.

    Raises:
        StudyFolderError: It is a link, a pipe or a device.
        OSError: It cannot be opened.
    """
    check_plain(path)  # for a message that says what it is; the flag below is what counts

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)

    return open(path, mode, encoding="utf-8", opener=opener)  # the caller closes it


def _not_plain(path: Path, mode: int) -> StudyFolderError:
    kind = "a link" if stat.S_ISLNK(mode) else "a pipe or device"
    return StudyFolderError("study folder", path, f"{kind}, no file or folder of its own", _REMEDY)
