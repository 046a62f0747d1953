"""Kernels that can be differentiated forward, or twice, in place of fused ones that can't."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def differentiable_kernels(module: nn.Module) -> Iterator[None]:
    """Evaluate attention and recurrent layers by kernels whose derivatives torch knows, inside the block.

    Args:
        module: What is evaluated; libraries are turned off only for layers that it has.
    """
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if any(isinstance(layer, nn.RNNBase) for layer in module.modules()):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "TF32 acceleration", UserWarning)
                stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield
