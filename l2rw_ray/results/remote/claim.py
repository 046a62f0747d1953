"""Claims on a study on an object store, which a run renews while it lives, so that only one runs it.

Each working folder has one claim, `.claims/<its number>`, whose modification time is the store's. A run
first writes its claim and then lists all of them. If another one was renewed shortly before, by the
store's clock, the run removes its claim and fails. Of two runs that start at once, each may see the other
and both fail; both cannot succeed on a store whose lists show every earlier write, such as S3 and Google
Cloud Storage.

The claim of a killed run expires after `STALE_S`. On the same machine it does not count at all, since the
lock of the working folder shows that no run is active.

Limits: a run that could not renew its claim for that long, for example on a suspended laptop, may find its
study taken over. It notices at its next renewal and stops at its next record. Until then both write the
same files of the same trials, which costs time but damages nothing.
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
    """The claim of one working folder, as the module describes it.

    Args:
        files: The folder of claims.
        number: The working folder's number.
        renew_s: Seconds between renewals.
        stale_s: Age in seconds at which the claims of others expire.
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
            StudyFolderError: Another run has claimed it, or the store cannot be written.
        """
        try:
            self._take()
        except OSError as error:
            remedy = "check that the environment's credentials may list, read and write it"
            raise self._files.location.error(f"cannot be written ({reason_of(error)})", remedy) from error
        renewing = threading.Thread(target=self._renew, name="claim", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            self._ended.set()
            renewing.join()
            if not self.is_lost:
                with suppress(OSError):  # it expires soon
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
                f"wait for it or stop it; the claim of a killed run expires after {self._stale_s:.0f} s",
            )

    def _holder(self, name: str) -> str:
        try:
            held = json.loads(self._files.read(name))
            return f"process {held['process']} on {held['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "unknown process"

    def _renew(self) -> None:
        while not self._ended.wait(self._renew_s):
            try:
                self._renew_once()
            except OSError:  # the claim is valid until it expires
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
