"""Addresses that a user gives: learning within seconds that nobody answers there."""

import socket

from l2rw_ray.errors import InputError

_CONNECT_S = 5.0


def check_server_answers(address: str, host: str, port: int, remedy: str) -> None:
    """Find out within seconds what Ray takes minutes to say.

    Args:
        address: The address as the user wrote it.
        host: The host in it.
        port: The port in it.
        remedy: What to give instead.

    Raises:
        InputError: Nobody listens there.
    """
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError("--address", address, f"nobody answers there ({error})".lower(), remedy) from error
