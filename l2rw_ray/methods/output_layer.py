"""The layer that turns features into logits."""

from torch import nn

from l2rw_ray.errors import UnsupportedModelError


def output_layer(network: nn.Module) -> tuple[str, nn.Linear]:
    """Return name and module of the last linear layer, in order of registration.

    Raises:
        UnsupportedModelError: There is none.
    """
    found = [(name, part) for name, part in network.named_modules() if isinstance(part, nn.Linear)]
    if not found:
        problem = "it has no linear layer, whose inputs would be its features"
        raise UnsupportedModelError("model", type(network).__name__, problem, "use another model or method")
    return found[-1]
