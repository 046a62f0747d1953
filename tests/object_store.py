"""An S3 on 127.0.0.1 that forgets all with its process, and the environment that leads there."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem

BUCKET = "studies"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "an-id",
    "AWS_SECRET_ACCESS_KEY": "s3cret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What each node of a cluster finds in its own environment."""


@dataclass(frozen=True)
class ObjectStore:
    """A store that is up.

    Attributes:
        endpoint: Where it listens.
    """

    endpoint: str

    @property
    def filesystem(self) -> S3FileSystem:
        """Its files, the first part of each path being the bucket."""
        return S3FileSystem(
            access_key="any", secret_key="any", endpoint_override=self.endpoint, allow_bucket_creation=True
        )


def environment_of(endpoint: str) -> dict[str, str]:
    """The variables by which pyarrow finds a store."""
    return CREDENTIALS | {"AWS_ENDPOINT_URL": endpoint}


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A store with an empty bucket; credentials and endpoint are in the environment until the block ends."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment_of(f"http://{host}:{port}").items():
            patch.setenv(name, value)
        store = ObjectStore(f"http://{host}:{port}")
        store.filesystem.create_dir(BUCKET)
        try:
            yield store
        finally:
            server.stop()
