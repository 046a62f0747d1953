"""What is tried again, and for how long."""

import errno
import os

import pytest

from l2rw_ray import retries as outages
from l2rw_ray.errors import OutOfReachError

OF_S3 = "When reading information for key 'a': AWS Error NETWORK_CONNECTION during HeadObject operation"


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.fixture
def pauses(monkeypatch):
    """How long was waited, instead of waiting."""
    waited: list[float] = []
    monkeypatch.setattr(outages.time, "sleep", waited.append)
    return waited


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(OF_S3), True),
        (OSError("AWS Error SLOW_DOWN during PutObject operation"), True),
        (OSError("When getting information for key 'a': AWS Error UNKNOWN (HTTP status 503) during"), True),
        (OSError("When getting information for key 'a': AWS Error UNKNOWN (HTTP status 429) during"), True),
        (OSError("google::cloud::Status(UNAVAILABLE: Retry policy exhausted"), True),
        (OSError("AWS Error THROTTLING during GetObject operation"), True),
        (OSError("google::cloud::Status(DEADLINE_EXCEEDED: no answer"), True),
        (OSError("google::cloud::Status(INTERNAL: try again"), True),
        (OutOfReachError("bucket/a", "no answer"), True),
        (OSError("AWS Error UNKNOWN (HTTP status 501) during PutObject operation"), False),
        (OSError("AWS Error UNKNOWN (HTTP status 400) during HeadObject operation"), False),
        (OSError("google::cloud::Status(PERMISSION_DENIED: no access"), False),
        (os_error(errno.ESTALE), True),
        (os_error(errno.ETIMEDOUT), True),
        (ConnectionResetError(errno.ECONNRESET, "reset by peer"), True),
        (OSError("AWS Error ACCESS_DENIED during HeadObject operation"), False),
        (FileNotFoundError(errno.ENOENT, "No such file"), False),
        (os_error(errno.ENOSPC), False),
        (os_error(errno.EIO), False),
        (OSError("Couldn't deserialize thrift: TProtocolException: Invalid data"), False),
        (ValueError("NETWORK_CONNECTION"), False),
    ],
)
def test_outages_are_told_from_errors(error, expected):
    assert outages.is_transient(error) is expected


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_a_call_is_tried_again(pauses, failures):
    raised = [OSError(OF_S3)] * failures

    def call() -> str:
        if raised:
            raise raised.pop()
        return "content"

    assert outages.retry_transient(call) == "content"
    assert pauses == [1.0, 5.0, 20.0][:failures]


def test_patience_ends(pauses):
    def call() -> None:
        raise OSError(OF_S3)

    with pytest.raises(OSError, match="NETWORK_CONNECTION"):
        outages.retry_transient(call)
    assert len(pauses) == 3


def test_an_error_that_would_come_again_is_raised_at_once(pauses):
    def call() -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(PermissionError):
        outages.retry_transient(call)
    assert pauses == []
