"""A study folder on an object store, and this machine's working folder for it.

An object store has neither appending nor locks, and SQLite and Matplotlib need files. So every command
works in a local folder, `studies/<digest of the address>/<name>` in the cache, and this module keeps the
two in sync:

- `fill` fetches what is new in the store before a command reads it, many files at a time, and then drops
  what the store no longer has, so that a command that is reading the working folder misses nothing. The
  store is the truth; the working folder can be deleted at any time.
- `replaced` writes a file to the store first and to the working folder after that. So a trial counts as
  finished only once its file is in the store, and a killed driver loses none that it counted. Writes to
  these stores are atomic: readers see the old file or the new one.
- Optuna's `optuna.db` is a live SQLite file: `put_copy` writes a consistent copy of it, before each trial
  of a search starts and at the end. A search that resumes elsewhere therefore knows the proposal of every
  trial in the ledger, and takes their metrics from there. The sampler's other state, and intermediate
  metrics of stopped trials, may be those of the last copy.
- Workers write checkpoints and saved models to the store themselves (`StoreFiles`), so that a trial can
  resume from its checkpoint on any node.
- MLflow's `mlflow.db` and artifacts stay in the working folder of the machine that made them;
  `--tracking-uri` names a server that all share.

Two commands on one machine take turns with the working folder; two runs, anywhere, are kept apart by `Claim`.
"""

import fcntl
import os
import socket
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

from l2rw_ray.results.atomic import atomic_path
from l2rw_ray.results.plain_files import open_plain
from l2rw_ray.results.remote.claim import Claim
from l2rw_ray.results.remote.location import Location, reason_of
from l2rw_ray.results.remote.store_files import StoreFiles
from l2rw_ray.results.trial_files import is_of_one_trial

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo

_AT_A_TIME = 24
_NOTES = "notes.md"
"""Notes by the user: fetched, but never dropped."""
_RANKING = ("suspects.parquet", "suspects.json")
"""That of a published study."""
_AT_THE_TOP = ("study.yaml", "plan.json", "plan_log.jsonl", "importances.json", *_RANKING, _NOTES)
_LEDGER = "trials"
_SECOND_NS = 10**9


@dataclass
class StudyStore:
    """Keeps a study folder on an object store and its working folder in sync, as the module describes.

    Attributes:
        location: The folder on the store.
        path: The working folder.
    """

    location: Location
    path: Path
    _claim: Claim | None = field(default=None, init=False, repr=False)

    @property
    def files(self) -> StoreFiles:
        """The files on the store."""
        return StoreFiles(self.location)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold a `Claim` against runs on other machines.

        Raises:
            StudyFolderError: Another run has claimed the study, or the store cannot be written.
        """
        self._claim = Claim(StoreFiles(self.location, ".claims"), self._number())
        with self._claim.held():
            try:
                yield
            finally:
                self._claim = None

    def fill(self, *, searches: str | None = None) -> None:
        """Update the working folder from the store.

        Args:
            searches: Name of Optuna's record. Only a run fetches it, as it must not change during one.

        Raises:
            StudyFolderError: The store cannot be read.
        """
        with self._alone(), self._errors("read"):
            top = _AT_THE_TOP if searches is None else (*_AT_THE_TOP, searches)
            wanted = {name: info for name, info in self.files.listed().items() if name in top}
            if searches is not None:
                self._drop(searches)  # with its journal, which must not be applied to another
            (self.path / _LEDGER).mkdir(exist_ok=True)
            ledger = self._ledger()
            while (now := self._fetch_all(wanted | ledger)) is not None:
                ledger = now
            here = [f"{_LEDGER}/{path.name}" for path in (self.path / _LEDGER).glob("*.parquet")]
            for name in {*top, *here} - wanted.keys() - ledger.keys() - {_NOTES}:
                self._drop(name)

    def _ledger(self) -> "dict[str, FileInfo]":
        return {name: info for name, info in self.files.listed(_LEDGER).items() if name.endswith(".parquet")}

    def _fetch_all(self, wanted: "Mapping[str, FileInfo]") -> "dict[str, FileInfo] | None":
        """Fetch the files that are not here yet. Returns the ledger's files if it was compacted meanwhile."""
        new = [name for name, info in wanted.items() if "/" not in name or not self._is_here(name, info)]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            fetched = pool.map(lambda name: self._get(name, wanted[name]), new)
            gone = {name for name, was_there in zip(new, fetched, strict=True) if not was_there}
        now = self._ledger()
        compacted = {name for name in now if not is_of_one_trial(Path(name))} - wanted.keys()
        return now if compacted or {name for name in gone if "/" in name} - now.keys() else None

    @contextmanager
    def replaced(self, path: Path) -> Iterator[Path]:
        """Yield a temporary path that replaces `path` in the store and then here, as `atomic_path` does.

        Raises:
            StudyFolderError: The store cannot be written, or another run has taken the study over.
        """
        with self._alone(), atomic_path(path) as draft:
            yield draft
            self._put(draft, path.relative_to(self.path).as_posix())

    def put(self, path: Path) -> None:
        """Write a file of the working folder to the store.

        Raises:
            StudyFolderError: The store cannot be written.
        """
        self._put(path, path.relative_to(self.path).as_posix())

    def put_copy(self, database: Path) -> None:
        """Write a consistent copy of a live SQLite file to the store, if there is one.

        Raises:
            StudyFolderError: It cannot be copied, or the store cannot be written.
        """
        if not database.is_file():
            return
        with TemporaryDirectory(prefix="l2rw-") as made:
            copy = Path(made) / database.name
            with (
                self._errors("copied", database.name),
                closing(sqlite3.connect(database)) as live,
                closing(sqlite3.connect(copy)) as still,
            ):
                live.backup(still)
            self._put(copy, database.relative_to(self.path).as_posix())

    def put_folder(self, folder: Path) -> None:
        """Write all files below a folder of the working folder to the store, and remove others there.

        Raises:
            StudyFolderError: The store cannot be read or written.
        """
        below = folder.relative_to(self.path).as_posix()
        names = [path.relative_to(self.path).as_posix() for path in folder.rglob("*") if path.is_file()]
        with ThreadPoolExecutor(_AT_A_TIME) as pool, self._errors("written", below):
            old = set(self.files.names(below, deep=True)) - set(names)
            _for_each(pool, names, lambda name: self._put(self.path / name, name))
            _for_each(pool, old, self.files.remove)

    def remove(self, path: Path) -> None:
        """Remove a file, or all below a folder, from the store; the caller removes it here.

        Raises:
            StudyFolderError: The store cannot be written.
        """
        name = path.relative_to(self.path).as_posix()
        with self._errors("written", name):
            for inside in [*self.files.names(name, deep=True), name]:
                self.files.remove(inside)

    def remove_files(self, paths: Sequence[Path]) -> None:
        """Remove files from the store, many at a time; the caller removes them here.

        Raises:
            StudyFolderError: The store cannot be written, or another run has taken the study over.
        """
        self._check_claim()
        with ThreadPoolExecutor(_AT_A_TIME) as pool, self._errors("written"):
            _for_each(pool, [path.relative_to(self.path).as_posix() for path in paths], self.files.remove)

    def names(self, folder: Path) -> set[str]:
        """Return the names of the files and folders in a folder of the store.

        Raises:
            StudyFolderError: The store cannot be read.
        """
        name = folder.relative_to(self.path).as_posix()
        with self._errors("read", name):
            inside = self.files.names(name, deep=True)
        return {path.removeprefix(f"{name}/").partition("/")[0] for path in inside}

    def fetch(self, path: Path) -> None:
        """Fetch a file of the working folder from the store.

        Raises:
            StudyFolderError: The store cannot be read.
        """
        name = path.relative_to(self.path).as_posix()
        with self._alone(), self._errors("read", name):
            self._get(name, self.files.info(name))

    def fetch_folder(self, folder: Path) -> None:
        """Update a folder of the working folder from the store, without its subfolders.

        Raises:
            StudyFolderError: The store cannot be read.
        """
        below = folder.relative_to(self.path).as_posix()
        with self._alone(), self._errors("read", below):
            wanted = self.files.listed(below)
            folder.mkdir(exist_ok=True)
            for path in folder.iterdir():
                if f"{below}/{path.name}" not in wanted:
                    path.unlink()
            new = [name for name, info in wanted.items() if not self._is_here(name, info)]
            with ThreadPoolExecutor(_AT_A_TIME) as pool:
                _for_each(pool, new, lambda name: self._get(name, wanted[name]))

    def _put(self, file: Path, name: str) -> None:
        """Write a file and give it the store's modification time, by which `fill` recognises it."""
        self._check_claim()
        with self._errors("written", name):
            self.files.write(name, file.read_bytes())
            known = self.files.info(name)
        if known.mtime_ns is not None:
            os.utime(file, ns=(known.mtime_ns, known.mtime_ns))

    def _check_claim(self) -> None:
        if self._claim is not None and self._claim.is_lost:
            problem = "another run has taken it over, because this one did not renew its claim in time"
            raise self.location.error(problem, "wait for that run, then run the same command again")

    def _get(self, name: str, info: "FileInfo") -> bool:
        """Fetch a file. Returns whether it is still there."""
        target = self.path / name
        try:
            content = self.files.read(name)
        except FileNotFoundError:  # removed since it was listed
            return False
        with atomic_path(target) as draft:
            draft.write_bytes(content)
            os.utime(draft, ns=(info.mtime_ns, info.mtime_ns))
        return True

    def _is_here(self, name: str, info: "FileInfo") -> bool:
        try:
            known = (self.path / name).stat()
        except FileNotFoundError:
            return False
        is_same_time = known.st_mtime_ns // _SECOND_NS == info.mtime_ns // _SECOND_NS  # S3 has no finer times
        return bool(known.st_size == info.size and is_same_time)

    def _drop(self, name: str) -> None:
        for path in (self.path / name, *self.path.glob(f"{name}-*")):  # also SQLite's journals
            path.unlink(missing_ok=True)

    def _number(self) -> str:
        """Return this working folder's name among claims, which differs between machines."""
        file = self.path / ".number"
        with suppress(FileExistsError), file.open("x", encoding="utf-8") as new:
            new.write(uuid4().hex)
        return f"{socket.gethostname()}-{file.read_text(encoding='utf-8')[:12]}"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Take turns with other commands and threads that use the working folder."""
        with open_plain(self.path / ".filling.lock", "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _errors(self, what: str, name: str = "") -> Iterator[None]:
        """Turn exceptions of the store's library into one line that names the address."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            which = f"{name} cannot" if name else "cannot"
            remedy = "check that the store can be reached and has space, then run the same command again"
            raise self.location.error(f"{which} be {what} ({reason_of(error)})", remedy) from error


def _for_each(pool: ThreadPoolExecutor, names: Iterable[str], call: Callable[[str], object]) -> None:
    for _ in pool.map(call, names):
        pass  # raises what a call raised
