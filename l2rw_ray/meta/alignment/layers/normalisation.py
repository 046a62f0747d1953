"""Normalisation within an example: GroupNorm, InstanceNorm, LayerNorm, and BatchNorm in eval mode.

Their parameters scale and shift a normalised input x̂, so an example's gradients are Σ g x̂ and Σ g over
its positions.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.meta.alignment.layers.interface import ExampleGradients, FormedGradients, LayerCall
from l2rw_ray.meta.alignment.layers.registry import rule_for


class _Affine(LayerCall):
    """What all of them share: parameters `weight` and `bias`, and their gradients by example."""

    def _formed(self, scale_N: Tensor, shift_N: Tensor) -> Sequence[ExampleGradients]:
        rows = {"weight": scale_N, "bias": shift_N}
        return [
            FormedGradients(getattr(self.layer, name), rows[name], self.train_size) for name in self.trained
        ]


@rule_for(nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
class GroupNormCall(_Affine):
    """GroupNorm, and InstanceNorm as a GroupNorm with one channel per group.

    Input gradient and every example's parameter gradients come from one native backward, in which
    examples stand as channels of a single one.
    """

    layer: nn.GroupNorm

    @staticmethod
    def refusal(layer: nn.Module) -> str | None:
        """InstanceNorm's running statistics are written by every forward."""
        return "it keeps running statistics" if getattr(layer, "track_running_stats", False) else None

    def forward(self, x: Tensor) -> Tensor:
        """The normalisation itself."""
        layer, kind = self.layer, x.dtype
        x = x.contiguous().to(torch.promote_types(kind, layer.weight.dtype))
        self._x, self._groups = x, getattr(layer, "num_groups", x.shape[1])
        count, channels, size = x.shape[0], x.shape[1], prod(x.shape[2:])
        y, self._mean, self._rstd = torch.ops.aten.native_group_norm(
            x, layer.weight, layer.bias, count, channels, size, self._groups, layer.eps
        )
        return y.to(kind)  # type: ignore[no-any-return]  # torch.ops is not typed

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """Computed together with the parameters'."""
        self._together(gradient)
        found: Tensor = self._input_gradient.to(gradient.dtype)
        return found

    def example_gradients(self, gradient: Tensor) -> Sequence[ExampleGradients]:
        """Of weight and bias."""
        self._together(gradient)
        return self._formed(self._scale, self._shift)

    def _together(self, gradient: Tensor) -> None:
        if not hasattr(self, "_x"):
            return
        x, layer = self._x, self.layer
        count, channels, size = x.shape[0], x.shape[1], prod(x.shape[2:])
        found, scale, shift = torch.ops.aten.native_group_norm_backward(
            gradient.contiguous().to(x.dtype).view(1, count * channels, size),
            x.view(1, count * channels, size),
            self._mean.view(1, -1),
            self._rstd.view(1, -1),
            layer.weight.detach().to(x.dtype).repeat(count),
            1,
            count * channels,
            size,
            count * self._groups,
            (True, True, True),
        )
        self._input_gradient = found.view_as(x)
        self._scale, self._shift = scale.view(count, channels), shift.view(count, channels)
        del self._x


@rule_for(nn.LayerNorm)
class LayerNormCall(_Affine):
    """LayerNorm over the last dimensions."""

    layer: nn.LayerNorm

    def forward(self, x: Tensor) -> Tensor:
        """The normalisation itself."""
        layer, kind = self.layer, x.dtype
        x = x.to(torch.promote_types(kind, layer.weight.dtype))
        self._x = x
        y, self._mean, self._rstd = torch.native_layer_norm(
            x, layer.normalized_shape, layer.weight, layer.bias, layer.eps
        )
        return y.to(kind)

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """Torch's own."""
        layer, x = self.layer, self._x
        found, _, _ = torch.ops.aten.native_layer_norm_backward(
            gradient.to(x.dtype),
            x,
            layer.normalized_shape,
            self._mean,
            self._rstd,
            layer.weight,
            layer.bias,
            (True, False, False),
        )
        return found.to(gradient.dtype)  # type: ignore[no-any-return]  # torch.ops is not typed

    def example_gradients(self, gradient: Tensor) -> Sequence[ExampleGradients]:
        """Of weight and bias."""
        x, gradient = self._x, gradient.to(self._x.dtype)
        normal = (x - self._mean) * self._rstd
        del self._x
        shape = (len(x), -1, prod(self.layer.normalized_shape))
        return self._formed((gradient * normal).reshape(shape).sum(dim=1), gradient.reshape(shape).sum(dim=1))


@rule_for(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
class BatchNormCall(_Affine):
    """BatchNorm in eval mode: an affine function of each example."""

    layer: nn.BatchNorm2d

    @staticmethod
    def refusal(layer: nn.Module) -> str | None:
        """Statistics of the batch couple its examples."""
        own = not layer.training and layer.running_mean is not None
        return None if own else "it normalises by the statistics of the batch, which couple its examples"

    def forward(self, x: Tensor) -> Tensor:
        """The affine function itself."""
        layer = self.layer
        assert layer.running_mean is not None
        assert layer.running_var is not None
        self._x = x
        return functional.batch_norm(
            x, layer.running_mean, layer.running_var, layer.weight, layer.bias, False, 0.0, layer.eps
        )

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """The output gradient, scaled by channel."""
        scale = self._rstd() if self.layer.weight is None else self._rstd() * self.layer.weight
        return gradient * self._by_channel(scale, gradient)

    def example_gradients(self, gradient: Tensor) -> Sequence[ExampleGradients]:
        """Of weight and bias."""
        x = self._x
        mean = self.layer.running_mean
        assert mean is not None
        normal = (x - self._by_channel(mean, x)) * self._by_channel(self._rstd(), x)
        del self._x
        shape = (*x.shape[:2], -1)
        gradient = gradient.to(normal.dtype)
        return self._formed((gradient * normal).reshape(shape).sum(dim=2), gradient.reshape(shape).sum(dim=2))

    def _rstd(self) -> Tensor:
        assert self.layer.running_var is not None
        return (self.layer.running_var + self.layer.eps).rsqrt()

    @staticmethod
    def _by_channel(value_C: Tensor, like: Tensor) -> Tensor:
        return value_C.detach().to(like.dtype).view(1, -1, *[1] * (like.ndim - 2))
