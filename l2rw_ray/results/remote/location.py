"""Addresses of study folders on object stores.

Credentials come from the environment, as pyarrow and each cloud's tools find them (`AWS_ACCESS_KEY_ID`, a
profile, an instance's role, `GOOGLE_APPLICATION_CREDENTIALS`). An address that contains credentials is an
error, and never shown.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from l2rw_ray.errors import StudyFolderError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_OPTIONS = {"s3": {"endpoint_override", "scheme", "region"}, "gs": {"endpoint_override", "scheme"}}
"""Options of an address by its scheme; pyarrow's others are credentials or not needed here."""
_ALWAYS = {"s3": {"allow_delayed_open": "true"}, "gs": {"retry_limit_seconds": "30"}}
"""Write small objects in one request instead of three; fail soon when a store is out of reach."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_FORMS = "use s3://BUCKET/PATH, gs://BUCKET/PATH or a folder"
_BY_ENVIRONMENT = "leave them out: the environment has them, such as AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL"
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Location:
    """A folder on an object store.

    Attributes:
        address: The address that the user gave, without a slash at its end.
        uri: The address for pyarrow, with the endpoint of this process's environment, so that it opens the
            same folder on another node.
    """

    address: str
    uri: str

    def inside(self, relative: str) -> str:
        """Return the address of a file in the folder, for messages."""
        return f"{self.address.partition('?')[0]}/{relative}"

    def open(self) -> "tuple[FileSystem, str]":
        """Return the filesystem and the folder's path in it, without a request to the store.

        Raises:
            StudyFolderError: The address is invalid, or its region cannot be determined.
        """
        import pyarrow as pa

        try:
            return _opened(self.uri)
        except (pa.ArrowException, OSError, ValueError, ImportError) as error:
            raise self.error(f"cannot be opened ({reason_of(error)})", "check the address") from error

    def check_reachable(self) -> None:
        """Request the bucket from the store.

        Raises:
            StudyFolderError: The store does not answer, or there is no such bucket for these credentials.
        """
        from pyarrow.fs import FileType

        filesystem, path = self.open()
        bucket = path.partition("/")[0]
        try:
            found = filesystem.get_file_info(bucket)
        except OSError as error:
            remedy = "check that it can be reached, and that the environment has credentials for it"
            raise self.error(f"no access ({reason_of(error)})", remedy) from error
        if found.type is not FileType.Directory:
            raise self.error(f"there is no bucket {bucket!r}", "create it, or give another address")

    def error(self, problem: str, remedy: str) -> StudyFolderError:
        """Return an error about this folder."""
        return StudyFolderError("study folder", self.address, problem, remedy)


def parse_location(text: str) -> Path | Location:
    """Parse the name of a study folder: a path, `file:///…`, or the address of an object store.

    Raises:
        StudyFolderError: It is an address, but not of a folder on a supported store.
    """
    if "://" not in text:
        return Path(text)
    parts = urlsplit(text)
    shown, scheme = f"{parts.scheme}://{parts.netloc}{parts.path}", parts.scheme
    if ":" in parts.netloc or "@" in parts.netloc:  # of a secret with a slash, the rest is in the path
        problem = "holds credentials or a port"
        raise StudyFolderError("study folder", f"{scheme}://***", problem, _BY_ENVIRONMENT)
    if scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise StudyFolderError("study folder", shown, "is on another machine", "use file:///FOLDER")
        return Path(unquote(parts.path))
    if scheme not in _OPTIONS:
        raise StudyFolderError("study folder", shown, "not a supported store", _FORMS)
    if not parts.netloc or not parts.path.strip("/"):
        missing = "bucket" if not parts.netloc else "folder in the bucket"
        raise StudyFolderError("study folder", shown, f"names no {missing}", f"use {scheme}://BUCKET/PATH")
    if "//" in parts.path.strip("/"):
        raise StudyFolderError("study folder", shown, "has an empty part", "use single slashes")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - _OPTIONS[scheme])
    if unknown or parts.fragment:
        known = ", ".join(sorted(_OPTIONS[scheme]))
        is_named = unknown and f"{unknown[0]}=" in parts.query  # a word alone may be a secret
        problem = f"unknown option {unknown[0]!r}" if is_named else "holds an option or a '#'"
        raise StudyFolderError("study folder", shown, problem, f"leave it out; options are {known}")
    folder = f"{scheme}://{parts.netloc}/{parts.path.strip('/')}"
    query = f"?{parts.query}" if parts.query else ""
    opened_with = _ALWAYS[scheme] | _endpoint(scheme, options) | options
    return Location(folder + query, f"{folder}?{urlencode(opened_with)}")


def reason_of(error: BaseException) -> str:
    """Return the first line of an error of the store's library, without the request id."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return text.partition(" (Request ID")[0][:_LONGEST_REASON].rstrip(" .")


def _endpoint(scheme: str, options: dict[str, str]) -> dict[str, str]:
    """Return the endpoint that the environment names, as other nodes may not have the variable."""
    given = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    if scheme != "s3" or "endpoint_override" in options or not given:
        return {}
    parts = urlsplit(given if "://" in given else f"https://{given}")
    return {"endpoint_override": parts.netloc + parts.path.rstrip("/"), "scheme": parts.scheme}


@lru_cache(maxsize=8)
def _opened(uri: str) -> "tuple[FileSystem, str]":
    from pyarrow.fs import FileSystem

    filesystem, path = FileSystem.from_uri(uri)
    return filesystem, path
