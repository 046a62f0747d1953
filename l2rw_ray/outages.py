"""Telling an outage, which may be over in a moment, from an error that would come again."""

import errno
import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

_OF_S3 = ("NETWORK_CONNECTION", "SLOW_DOWN", "SERVICE_UNAVAILABLE", "INTERNAL_FAILURE", "REQUEST_TIMEOUT")
"""How pyarrow's messages name them; it gives no numbers."""
_OF_MOUNTS = {
    *(errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED),
    *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ESTALE),
}
_PAUSES_S = (1.0, 5.0, 20.0)
"""Between tries, beside those of a store's own library: an outage of half a minute ends nothing."""


def is_passing(error: BaseException) -> bool:
    """Whether a store or a network file system may answer if it is asked again."""
    if not isinstance(error, OSError):
        return False
    return error.errno in _OF_MOUNTS or any(name in str(error) for name in _OF_S3)


def patiently(call: Callable[[], _T]) -> _T:
    """What a call returns, tried again for half a minute while what it raises is an outage."""
    for pause_s in _PAUSES_S:
        try:
            return call()
        except OSError as error:
            if not is_passing(error):
                raise
        time.sleep(pause_s)
    return call()
