"""Convolutions: the gradient of an example is a convolution of its input with its output gradient.

All examples' gradients together are one grouped weight gradient, at the cost of the summed one where
a group has enough input channels for vector units, and cheaper than the alternative where it has one or
many output channels; otherwise, and where they are too large to be held, the alignment is the inner
product of the output gradient with the input convolved with D.

Shape suffixes: B train examples, C output channels.
"""

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.meta.alignment.layers.interface import (
    ExampleGradients,
    FormedGradients,
    LayerCall,
    row_dots,
)
from l2rw_ray.meta.alignment.layers.registry import rule_for
from l2rw_ray.meta.alignment.row_weights import RowWeights
from l2rw_ray.meta.outer_sum import Part, formed

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
_FUNCTIONS = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}
"""By the dimensions of the weight."""
_VECTOR_CHANNELS = 8
"""Input channels per group that fill a vector register. Grouped weight gradients of two to seven are slow."""
_MANY_CHANNELS = 32
"""Output channels per group from which on forming is faster than contracting even for few input channels."""
_SMALL_KERNEL = 9
"""Elements of a depthwise kernel up to which forming is faster than contracting."""
_FORMED_POSITIONS = 128
"""Output positions below which writing and reading an example's gradient costs more than contracting it."""


@rule_for(nn.Conv1d, nn.Conv2d, nn.Conv3d)
class ConvolutionCall(LayerCall):
    """Conv1d, Conv2d, Conv3d with any stride, padding, dilation and groups."""

    layer: Convolution

    def prepare(self, x: Tensor) -> Tensor:
        """Pad the input first, unless the padding is by the same number of zeros on both sides."""
        layer = self.layer
        self._padding: tuple[int, ...] = (0,) * (layer.weight.ndim - 2)
        if isinstance(layer.padding, tuple) and layer.padding_mode == "zeros":
            self._padding = layer.padding
            return x
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        return functional.pad(x, layer._reversed_padding_repeated_twice, mode=mode)

    def could_form(self, x: Tensor) -> Tensor | None:
        """Return the weight, on CPUs, where positions are many and forming is fast; or None."""
        layer = self.layer
        (outputs, inputs), kernel = layer.weight.shape[:2], layer.weight.shape[2:]
        outputs //= layer.groups
        is_fast = inputs >= _VECTOR_CHANNELS or self._is_pointwise
        if x.is_contiguous():  # forming would first copy an input whose channels come last
            is_fast |= outputs >= _MANY_CHANNELS
            is_fast |= inputs == 1 and (outputs > 1 or kernel.numel() <= _SMALL_KERNEL)
        has_many_positions = x.shape[2:].numel() >= _FORMED_POSITIONS * prod(layer.stride)
        fits = is_fast and has_many_positions and x.device.type == "cpu"
        return layer.weight if fits and layer.weight.requires_grad else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution itself, and keep its input."""
        layer, convolve = self.layer, self._function()
        y = convolve(x, layer.weight, layer.bias, layer.stride, self._padding, layer.dilation, layer.groups)
        self._x = x.to(y.dtype)
        return y

    def backward(self, gradient: Tensor, *, wanted: bool) -> tuple[Tensor | None, list[ExampleGradients]]:
        """Return the gradient with respect to the input, and weight and bias gradients by example."""
        layer, x, found = self.layer, self._x, list[ExampleGradients]()
        below = self._backward(gradient, x, layer.weight, (True, False, False)) if wanted else None
        if layer.weight.requires_grad:
            if self.budget.grants(self):
                found.append(FormedGradients(layer.weight, self._form(x, gradient), self.train_size))
            else:
                found.append(ContractedConvolution(self, x, gradient))
        if layer.bias is not None and layer.bias.requires_grad:
            found.append(FormedGradients(layer.bias, gradient.flatten(2).sum(dim=2), self.train_size))
        del self._x
        return below, found

    def weight_gradient(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Return the weight's gradient, summed over rows."""
        return self._backward(gradient, x, self.layer.weight, (False, True, False))

    def along(self, x: Tensor, direction: Tensor) -> Tensor:
        """Return the output's derivative when the weight moves along a direction."""
        layer = self.layer
        return self._function()(
            x, direction.to(x), None, layer.stride, self._padding, layer.dilation, layer.groups
        )

    def _function(self) -> Callable[..., Tensor]:
        return _FUNCTIONS[self.layer.weight.ndim]

    @property
    def _is_pointwise(self) -> bool:
        """Whether it is one product of matrices over channels: kernels of one element, no groups."""
        layer = self.layer
        is_single = all(size == 1 for size in (*layer.weight.shape[2:], *layer.stride, layer.groups))
        return is_single and not any(self._padding)

    def _form(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Form the gradient of each example, [N, …]: examples become groups of one convolution."""
        layer, count = self.layer, len(x)
        if self._is_pointwise:  # a product of matrices, whichever way channels lie in memory
            return (gradient.to(x.dtype).flatten(2) @ x.flatten(2).mT).view(count, -1)
        weight = x.new_empty(()).expand(count * layer.weight.shape[0], *layer.weight.shape[1:])
        return self._backward(
            gradient.reshape(1, -1, *gradient.shape[2:]),
            x.reshape(1, -1, *x.shape[2:]),
            weight,
            (False, True, False),
            groups=count * layer.groups,
        ).view(count, -1)

    def _backward(
        self,
        gradient: Tensor,
        x: Tensor,
        weight: Tensor,
        wanted: tuple[bool, bool, bool],
        groups: int | None = None,
    ) -> Tensor:
        layer = self.layer
        parts = torch.ops.aten.convolution_backward(
            gradient.to(x.dtype),
            x,
            weight.to(x.dtype),
            None,
            layer.stride,
            self._padding,
            layer.dilation,
            False,  # not transposed
            [0] * len(layer.stride),
            groups or layer.groups,
            wanted,
        )
        found: Tensor = next(part for part, flag in zip(parts, wanted, strict=True) if flag)
        return found


class ContractedConvolution:
    """Example gradients of a convolution's weight that are never formed.

    Input and output gradient are held in the layout of the input, as torch's own backward takes them: its
    weight gradient of strided 1×1 kernels corrupts memory where a few channels come last.

    Args:
        call: The layer's call.
        x: Its input, [N, …].
        gradient: Gradient with respect to its output, [N, C, …].
    """

    def __init__(self, call: ConvolutionCall, x: Tensor, gradient: Tensor) -> None:
        size = call.train_size
        self._call = call
        is_channels_last = not x.is_contiguous() and x.movedim(1, -1).is_contiguous()
        self._channel_dim = -1 if is_channels_last else 1  # in what is held
        self._x, self._gradient = (
            part[:size].movedim(1, self._channel_dim).contiguous() for part in (x, gradient)
        )
        self.parameter = call.layer.weight
        self._meta_gradient: Tensor | None = None
        if len(x) > size:
            self._meta_gradient = call.weight_gradient(x[size:], gradient[size:]).contiguous()

    def meta_gradient(self) -> Part:
        """Return the summed weight gradient, made before what it is made of was given up."""
        found, self._meta_gradient = self._meta_gradient, None
        return torch.zeros_like(self.parameter) if found is None else found.to(self.parameter.dtype)

    def alignments(self, direction: Part) -> Tensor:
        """Compute alignments by one more forward of the layer."""
        moved = self._call.along(self._x.movedim(self._channel_dim, 1), formed(direction))
        return row_dots(moved.movedim(1, self._channel_dim), self._gradient)

    def weighted(self, weights: RowWeights) -> Tensor:
        """Return the weight gradient of scaled output gradients, or scaled inputs where those are smaller."""
        pair = weights.scaled_pair(self._x, self._gradient)
        x, gradient = (part.movedim(self._channel_dim, 1) for part in pair)
        return self._call.weight_gradient(x, gradient).contiguous()
