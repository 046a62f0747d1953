"""Who runs a study on an object store: claims that are renewed while their run lives.

Each working folder has one claim, `.claims/<its own number>`, whose time of change is the store's. A run
puts its claim first and lists all of them then. Where another was renewed a short while before its
own, both by the store's one clock, it takes its claim back and is refused. Of two runs that start at
once each may see the other, and both are refused; that both go on is not possible on a store whose
lists show every earlier put, as those of S3 and Google Cloud do.

A run that was killed leaves a claim that is too old after `STALE_S`; on the same machine, where the
working folder's own lock shows that nobody runs, it does not count at all.

The limits: a run that could not renew its claim for longer than that, such as one on a laptop that
slept, may find its study taken over. It notices at its next renewal and stops at its next record.
Until then both write the same files of the same trials, which costs time and damages nothing.
"""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from l2rw_ray.results.remote.location import reason_of
from l2rw_ray.results.remote.store_files import StoreFiles

RENEW_S = 20.0
STALE_S = 90.0


class Claim:
    """One working folder's claim; see the module.

    Args:
        files: The folder of claims.
        number: The working folder's own.
        renew_s: How often it is renewed.
        stale_s: Age at which the claims of others count no more.
    """

    def __init__(
        self, files: StoreFiles, number: str, renew_s: float = RENEW_S, stale_s: float = STALE_S
    ) -> None:
        self._files, self._number = files, number
        self._renew_s, self._stale_s = renew_s, stale_s
        self._ended = threading.Event()
        self._text = json.dumps({"process": os.getpid(), "host": socket.gethostname(), "run": uuid4().hex})
        self.is_lost = False
        """Whether another run has taken the study over."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Claim the study until the block ends.

        Raises:
            StudyFolderError: Another run holds it, or the store cannot be written.
        """
        try:
            self._take()
        except OSError as error:
            remedy = "see that the environment's credentials may list, read and write it"
            raise self._files.location.error(f"cannot be written ({reason_of(error)})", remedy) from error
        renewing = threading.Thread(target=self._renew, name="claim", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            self._ended.set()
            renewing.join()
            if not self.is_lost:
                with suppress(OSError):  # it is too old soon
                    self._files.remove(self._number)

    def _take(self) -> None:
        self._files.write(self._number, self._text.encode())
        claims = self._files.listed()
        now = (claims.pop(self._number, None) or self._files.info(self._number)).mtime_ns
        for name, claim in claims.items():
            age_s = (now - claim.mtime_ns) / 1e9
            if age_s >= self._stale_s:
                self._files.remove(name)
                continue
            holder = self._holder(name)
            self._files.remove(self._number)
            raise self._files.location.error(
                f"in use by another run ({holder}, seen {max(age_s, 0):.0f} s ago)",
                f"wait for it or stop it; one that was killed frees it after {self._stale_s:.0f} s",
            )

    def _holder(self, name: str) -> str:
        try:
            told = json.loads(self._files.read(name))
            return f"process {told['process']} on {told['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "unknown process"

    def _renew(self) -> None:
        while not self._ended.wait(self._renew_s):
            try:
                self._renew_once()
            except OSError:  # it holds until it is stale
                continue
            if self.is_lost:
                return

    def _renew_once(self) -> None:
        try:
            is_own = self._files.read(self._number) == self._text.encode()
        except FileNotFoundError:
            is_own = False
        if is_own:
            self._files.write(self._number, self._text.encode())
        self.is_lost = not is_own
