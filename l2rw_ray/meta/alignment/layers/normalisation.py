"""Normalisation within an example: GroupNorm, InstanceNorm, LayerNorm, and BatchNorm in eval mode.

Their parameters scale and shift a normalised input x̂, so an example's gradients are Σ g x̂ and Σ g over
its positions.
"""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.meta.alignment.layers.interface import ExampleGradients, FormedGradients, LayerCall
from l2rw_ray.meta.alignment.layers.registry import rule_for

_Gradients = tuple[Tensor | None, Tensor, Tensor]
"""With respect to the input, where it is wanted, and to scale and shift by example, [N, C]."""

_WORTH_A_CALL = 8192
"""Elements of an example from which a native call for it alone is faster than steps over all examples."""


class _Affine(LayerCall):
    """What all of them share: parameters `weight` and `bias`, and their gradients by example."""

    def _formed(self, scale_N: Tensor, shift_N: Tensor) -> list[ExampleGradients]:
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
        """Return a refusal of running statistics, which InstanceNorm writes in every forward; or None."""
        return "it keeps running statistics" if getattr(layer, "track_running_stats", False) else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised and scaled input, and keep its statistics by group."""
        layer, kind = self.layer, x.dtype
        x = x.contiguous().to(torch.promote_types(kind, layer.weight.dtype))
        self._x, self._groups = x, getattr(layer, "num_groups", x.shape[1])
        count, channels, size = x.shape[0], x.shape[1], prod(x.shape[2:])
        y, self._mean, self._rstd = torch.ops.aten.native_group_norm(
            x, layer.weight, layer.bias, count, channels, size, self._groups, layer.eps
        )
        return y.to(kind)  # type: ignore[no-any-return]  # torch.ops is not typed

    def backward(self, gradient: Tensor, *, wanted: bool) -> tuple[Tensor | None, list[ExampleGradients]]:
        """Return the gradient with respect to the input, and scale and shift gradients by example."""
        x, layer = self._x, self.layer
        count, channels, size = x.shape[0], x.shape[1], prod(x.shape[2:])
        below, scale, shift = torch.ops.aten.native_group_norm_backward(
            gradient.contiguous().to(x.dtype).view(1, count * channels, size),
            x.view(1, count * channels, size),
            self._mean.view(1, -1),
            self._rstd.view(1, -1),
            layer.weight.detach().to(x.dtype).repeat(count),
            1,
            count * channels,
            size,
            count * self._groups,
            (wanted, True, True),
        )
        del self._x
        found = self._formed(scale.view(count, channels), shift.view(count, channels))
        return below.view_as(x).to(gradient.dtype) if wanted else None, found


@rule_for(nn.LayerNorm)
class LayerNormCall(_Affine):
    """LayerNorm over the last dimensions."""

    layer: nn.LayerNorm
    is_positionwise = True

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised and scaled input, and keep its statistics by position."""
        layer, kind = self.layer, x.dtype
        x = x.to(torch.promote_types(kind, layer.weight.dtype))
        self._x = x
        y, self._mean, self._rstd = torch.native_layer_norm(
            x, layer.normalized_shape, layer.weight, layer.bias, layer.eps
        )
        return y.to(kind)

    def backward(self, gradient: Tensor, *, wanted: bool) -> tuple[Tensor | None, list[ExampleGradients]]:
        """Return the gradient with respect to the input, and scale and shift gradients by example."""
        layer, x, kind = self.layer, self._x, gradient.dtype
        gradient = gradient.to(x.dtype)
        below = None
        if wanted:
            below, _, _ = torch.ops.aten.native_layer_norm_backward(
                gradient,
                x,
                layer.normalized_shape,
                self._mean,
                self._rstd,
                layer.weight,
                layer.bias,
                (True, False, False),
            )
            below = below.to(kind)
        normal = (x - self._mean) * self._rstd
        del self._x
        shape = (len(x), -1, prod(layer.normalized_shape))
        scale, shift = ((part.reshape(shape).sum(dim=1)) for part in (gradient * normal, gradient))
        return below, self._formed(scale, shift)


@rule_for(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
class BatchNormCall(_Affine):
    """BatchNorm in eval mode: an affine function of each example."""

    layer: nn.BatchNorm2d

    @staticmethod
    def refusal(layer: nn.Module) -> str | None:
        """Return a refusal of statistics of the batch, which couple its examples; or None."""
        own = not layer.training and layer.running_mean is not None
        return None if own else "it normalises by the statistics of the batch, which couple its examples"

    def forward(self, x: Tensor) -> Tensor:
        """Return the affine function of the input, and keep the input."""
        layer = self.layer
        assert layer.running_mean is not None
        assert layer.running_var is not None
        self._x = x
        return functional.batch_norm(
            x, layer.running_mean, layer.running_var, layer.weight, layer.bias, False, 0.0, layer.eps
        )

    def backward(self, gradient: Tensor, *, wanted: bool) -> tuple[Tensor | None, list[ExampleGradients]]:
        """Return the gradient with respect to the input, and scale and shift gradients by example."""
        x = self._x
        del self._x
        if x.ndim > 2 and x.is_contiguous():
            below, scales, shifts = self._as_channels(gradient.contiguous(), x, wanted=wanted)
        elif x.ndim > 2 and x.device.type == "cpu" and x[:1].numel() >= _WORTH_A_CALL:
            below, scales, shifts = self._one_by_one(gradient, x, wanted=wanted)
        else:
            below, scales, shifts = self._elementwise(gradient, x, wanted=wanted)
        return None if below is None else below.to(gradient.dtype), self._formed(scales, shifts)

    def _as_channels(self, gradient: Tensor, x: Tensor, *, wanted: bool) -> _Gradients:
        """Go back in one call, in which examples stand as channels of a single one."""
        count, channels = x.shape[:2]
        one, one_x = (part.reshape(1, count * channels, *part.shape[2:]) for part in (gradient, x))
        held = [part if part is None else part.repeat(count) for part in self._statistics()]
        below, scales, shifts = self._native(one, one_x, held, wanted=wanted)
        below = None if below is None else below.view_as(x)
        return below, scales.view(count, channels), shifts.view(count, channels)

    def _one_by_one(self, gradient: Tensor, x: Tensor, *, wanted: bool) -> _Gradients:
        """Go back in a call per example, which leaves channels where they are in memory."""
        held, below = self._statistics(), torch.empty_like(x) if wanted else None
        scales, shifts = [], []
        for index, part in enumerate(gradient.to(x.dtype).split(1)):
            found, scale, shift = self._native(part, x[index : index + 1], held, wanted=wanted)
            scales.append(scale)
            shifts.append(shift)
            if below is not None and found is not None:
                below[index : index + 1] = found
        return below, torch.stack(scales), torch.stack(shifts)

    def _statistics(self) -> list[Tensor | None]:
        layer = self.layer
        parts = (layer.weight, layer.running_mean, layer.running_var)
        return [part if part is None else part.detach() for part in parts]

    def _native(self, gradient: Tensor, x: Tensor, held: list[Tensor | None], *, wanted: bool) -> _Gradients:
        found: _Gradients = torch.ops.aten.native_batch_norm_backward(
            gradient.to(x.dtype), x, *held, None, None, False, self.layer.eps, (wanted, True, True)
        )
        return found

    def _elementwise(self, gradient: Tensor, x: Tensor, *, wanted: bool) -> _Gradients:
        """Go back elementwise, on any device and in any layout."""
        layer, below = self.layer, None
        assert layer.running_mean is not None
        assert layer.running_var is not None
        rstd = (layer.running_var + layer.eps).rsqrt()
        if wanted:
            scale = rstd if layer.weight is None else rstd * layer.weight
            below = gradient * self._by_channel(scale, gradient)
        normal = (x - self._by_channel(layer.running_mean, x)) * self._by_channel(rstd, x)
        shape, gradient = (*x.shape[:2], -1), gradient.to(normal.dtype)
        scales, shifts = (part.reshape(shape).sum(dim=2) for part in (gradient * normal, gradient))
        return below, scales, shifts

    @staticmethod
    def _by_channel(value_C: Tensor, like: Tensor) -> Tensor:
        return value_C.detach().to(like.dtype).view(1, -1, *[1] * (like.ndim - 2))
