"""Check that a cluster accepts this process's token; Ray tries for half a minute and does not say why."""

from l2rw_ray.errors import InputError

_METHOD = "/ray.rpc.NodeInfoGcsService/GetClusterId"
"""What Ray itself asks first; an empty message is a valid request."""
_TIMEOUT_S = 5.0


def check_token(address: str) -> None:
    """Ask a head node for the cluster's identifier, with this process's token if it has one.

    Any other failure is left to Ray, which knows more about it.

    Args:
        address: `HOST:PORT` of the head node.

    Raises:
        InputError: The cluster refuses the token, or the lack of one.
    """
    from ray._private.grpc_utils import init_grpc_channel

    with init_grpc_channel(address) as channel:
        error = channel.unary_unary(_METHOD).future(b"", timeout=_TIMEOUT_S).exception()
    if error is not None and error.code().name == "UNAUTHENTICATED":
        raise token_error(address) from error


def token_error(address: str) -> InputError:
    """Return the error for a cluster that refuses the token of this process."""
    remedy = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or the file ~/.ray/auth_token"
    problem = "the cluster requires a token; none or a wrong one is set"
    return InputError("--address", address, problem, remedy)
