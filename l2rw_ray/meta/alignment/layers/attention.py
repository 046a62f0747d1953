"""Multi-head attention as torch defines it, with the batch in front all the way.

torch's own puts the sequence first, where rows of examples cannot be told from positions.

Shape suffixes: N examples, L target positions, S source positions, E dimensions, H heads.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from l2rw_ray.meta.alignment.layers.expression import ParameterExpression
from l2rw_ray.meta.alignment.layers.functions import function_rule, tensors_in
from l2rw_ray.meta.alignment.layers.recording import Recording


@function_rule("multi_head_attention_forward")
def attention(
    recording: Recording, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Tensor, Tensor | None]:
    """Attend with projections that are expressions.

    Raises:
        UnsupportedModelError: Keys or values are extended (`add_bias_kv`, `add_zero_attn`), or there is no
            batch.
    """
    query, key, value, _, heads, weight, bias, bias_k, bias_v, add_zero, dropout, out_weight, out_bias = args
    if bias_k is not None or bias_v is not None or add_zero or query.ndim != 3:
        met = next(t for t in tensors_in(args) if isinstance(t, ParameterExpression))
        raise recording.refusal(
            met, "attention with add_bias_kv, add_zero_attn or without a batch has no rule"
        )
    separate = [kwargs.get(f"{name}_proj_weight") for name in "qkv"]
    weights = separate if kwargs.get("use_separate_proj_weight") else weight
    inputs = _batch_first(query, key, value)
    projected = _projected(inputs, weights, bias)
    q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in projected)
    need_weights, is_causal = kwargs.get("need_weights", True), kwargs.get("is_causal", False)
    mask, is_causal = _mask(
        kwargs.get("attn_mask"),
        kwargs.get("key_padding_mask"),
        q,
        is_causal=is_causal,
        need_weights=need_weights,
    )
    rate = dropout if kwargs.get("training", True) else 0.0
    if need_weights:
        attended, attention_NHLS = _explicitly(q, k, v, mask, rate)
    else:
        attended = functional.scaled_dot_product_attention(q, k, v, mask, rate, is_causal)
    result = functional.linear(attended.transpose(1, 2).flatten(2), out_weight, out_bias).transpose(0, 1)
    if not need_weights:
        return result, None
    return result, attention_NHLS.mean(dim=1) if kwargs.get("average_attn_weights", True) else attention_NHLS


def _batch_first(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Transpose to [N, …], and keep what is the same tensor the same."""
    q = query.transpose(0, 1)
    k = q if key is query else key.transpose(0, 1)
    return q, k, k if value is key else value.transpose(0, 1)


def _projected(
    inputs: tuple[Tensor, Tensor, Tensor], weights: Tensor | list[Any], bias: Tensor | None
) -> tuple[Tensor, ...]:
    """Project query, key and value; all at once where they are the same."""
    query, key, value = inputs
    if isinstance(weights, Tensor) and query is key is value:
        return functional.linear(query, weights, bias).chunk(3, dim=-1)
    parts = weights.chunk(3) if isinstance(weights, Tensor) else weights
    biases = (None, None, None) if bias is None else bias.chunk(3)
    triples = zip(inputs, parts, biases, strict=True)
    return tuple(functional.linear(x, weight, own) for x, weight, own in triples)


def _mask(
    mask: Tensor | None, padding: Tensor | None, query: Tensor, *, is_causal: bool, need_weights: bool
) -> tuple[Tensor | None, bool]:
    """Return what is added to scores, broadcast against [N, H, L, S], and whether to be causal without it."""
    count, heads = query.shape[:2]
    if is_causal and padding is None and not need_weights:
        return None, True
    if mask is not None:
        mask = _added(mask, query.dtype)
        mask = mask.unflatten(0, (count, heads)) if mask.ndim == 3 else mask.view(1, 1, *mask.shape)
    if padding is None:
        return mask, is_causal
    padding = _added(padding, query.dtype)[:, None, None, :]
    return padding if mask is None else mask + padding, False


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.is_floating_point():
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(mask, -math.inf)


def _explicitly(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float
) -> tuple[Tensor, Tensor]:
    """Attend in steps, and return the weights, too."""
    scores = q * math.sqrt(1.0 / q.shape[-1]) @ k.transpose(-2, -1)
    weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
    if dropout > 0:
        weights = functional.dropout(weights, p=dropout)
    return weights @ v, weights
