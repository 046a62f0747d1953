"""Computations that the caller's autocast must not round."""

from contextlib import AbstractContextManager, nullcontext

import pytest
import torch

from l2rw_ray.meta.evaluation.precision import without_autocast


@pytest.mark.parametrize(
    "around", [nullcontext(), torch.autocast("cpu", torch.bfloat16), torch.autocast("cuda", enabled=False)]
)
def test_products_are_not_rounded(around: AbstractContextManager[object]) -> None:
    x = torch.randn(3, 3)
    with around:
        before = torch.is_autocast_enabled("cpu")
        with without_autocast("cpu"):
            assert (x @ x).dtype is torch.float32
        assert torch.is_autocast_enabled("cpu") == before
