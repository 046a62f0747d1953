"""Retry calls that fail because of an outage of a store or a network file system."""

import errno
import re
import time
from collections.abc import Callable
from typing import TypeVar

from l2rw_ray.errors import OutOfReachError

_T = TypeVar("_T")

_OF_STORES = re.compile(
    r"AWS Error (NETWORK_CONNECTION|SLOW_DOWN|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|REQUEST_TIMEOUT"
    r"|THROTTLING)"
    r"|HTTP status (429|5(?!01)\d\d)"  # a response without a body, such as to a HEAD request, names no error
    r"|google::cloud::Status\((UNAVAILABLE|DEADLINE_EXCEEDED|INTERNAL)"
)
"""Pyarrow's messages about S3 and Google Cloud; its exceptions have no error numbers."""
_OF_MOUNTS = {
    *(errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED),
    *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ESTALE),
}
_PAUSES_S = (1.0, 5.0, 20.0)
"""Pauses between attempts, in addition to the retries of a store's library."""


def is_transient(error: BaseException) -> bool:
    """Whether an error is an outage, so that a retry may succeed."""
    if isinstance(error, OutOfReachError):
        return True
    if not isinstance(error, OSError):
        return False
    return error.errno in _OF_MOUNTS or _OF_STORES.search(str(error)) is not None


def retry_transient(call: Callable[[], _T]) -> _T:
    """Return a call's result; during an outage, retry it three times over half a minute."""
    for pause_s in _PAUSES_S:
        try:
            return call()
        except (OSError, OutOfReachError) as error:
            if not is_transient(error):
                raise
        time.sleep(pause_s)
    return call()
