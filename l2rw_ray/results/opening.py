"""Open a study folder by path or by the address of an object store."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from l2rw_ray.cache_folder import cache_folder
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.remote.location import Location, parse_location


@contextmanager
def open_study_folder(named: str) -> Iterator[StudyFolder]:
    """Yield a study folder to run a study in. From an object store, only `lock` fetches files.

    Errors about the working folder of a store name the store instead.

    Args:
        named: A path, `file:///…`, or the address of an object store.

    Raises:
        StudyFolderError: The address cannot be used.
    """
    place = parse_location(named)
    if isinstance(place, Path):
        yield StudyFolder(place)
        return
    from l2rw_ray.results.remote.store import StudyStore

    path = _working_folder(place)
    place.check_reachable()
    try:
        yield StudyFolder(path, StudyStore(place, path))
    except StudyFolderError as error:
        if not isinstance(error.value, Path) or not error.value.is_relative_to(path):
            raise
        inside = error.value.relative_to(path).as_posix()
        shown = place.address if inside == "." else place.inside(inside)
        raise StudyFolderError(error.field, shown, error.problem, error.remedy) from error


@contextmanager
def read_study_folder(named: str) -> Iterator[StudyFolder]:
    """Yield a study folder to read; from an object store, its present content is fetched.

    Raises:
        StudyFolderError: The address cannot be used, or the store cannot be read.
    """
    with open_study_folder(named) as folder:
        if folder.store is not None:
            folder.store.fill()
        yield folder


def _working_folder(location: Location) -> Path:
    """Return this machine's working folder of a study on a store, created if missing."""
    digest = hashlib.sha256(location.uri.encode()).hexdigest()[:16]
    name = PurePosixPath(location.address.partition("?")[0]).name
    path = cache_folder() / "studies" / digest / name
    try:
        path.mkdir(parents=True, exist_ok=True)
        if path.stat().st_uid != os.getuid():
            remedy = "set L2RW_RAY_CACHE to a folder of your own"
            raise StudyFolderError("working folder", path, "another user's", remedy)
    except OSError as error:
        reason = (error.strerror or "cannot be made").lower()
        remedy = "set L2RW_RAY_CACHE to a writable folder"
        raise StudyFolderError("working folder", path, reason, remedy) from error
    return path
