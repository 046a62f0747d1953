"""Check within seconds that a server listens at an address that the user gave."""

import socket

from l2rw_ray.errors import InputError

_CONNECT_TIMEOUT_S = 5.0


def check_server_answers(address: str, host: str, port: int, remedy: str) -> None:
    """Check that a server accepts connections, which takes Ray minutes to find out.

    Args:
        address: The address as the user wrote it.
        host: The host in it.
        port: The port in it.
        remedy: Remedy for the error message.

    Raises:
        InputError: The connection is refused or times out, or there is no such host.
    """
    try:
        socket.create_connection((host, port), timeout=_CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError("--address", address, f"cannot connect ({error})".lower(), remedy) from error
