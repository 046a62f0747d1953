"""Inputs to measure steps on: normal tensors, texts of random tokens, or what custom code draws.

Shape suffixes: B batch, T tokens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from l2rw_ray.errors import InputError
from l2rw_ray.import_path import load, users_code
from l2rw_ray.meta.evaluation.batches import batch_size as rows_of
from l2rw_ray.meta.evaluation.batches import checked_batch
from l2rw_ray.models.text.inputs import IDS, MASK, TEXT_MODELS
from l2rw_ray.trees import Shapes, Tree, shapes_of

VOCABULARY, LONGEST = 10_000, 64
"""Tokens to draw from, and those of the longest text; the shortest have one."""


@dataclass(frozen=True)
class BenchInputs:
    """What a model is measured on.

    Attributes:
        draw: Returns inputs for a number of examples.
        shape: Shape of one.
        sizes: What a builder is given besides, such as `vocab_size`.
    """

    draw: Callable[[int], Tree]
    shape: Shapes
    sizes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: str, input_shape: tuple[int, ...], custom: str | None) -> "BenchInputs":
        """Return the inputs of a model.

        Args:
            model: Its name.
            input_shape: Shape of the tensors that other models than those of texts get.
            custom: Import path of a function that draws in their place; None for none.

        Raises:
            InputError: The custom code cannot be imported, raises or does not return a row for each example.
        """
        if custom is not None:
            return cls(lambda size: _custom(custom, size), shapes_of(_custom(custom, 1)))
        if model in TEXT_MODELS:
            return cls(_texts, dict.fromkeys((IDS, MASK), (LONGEST,)), {"vocab_size": VOCABULARY})
        return cls(lambda size: torch.randn(size, *input_shape), input_shape)


def _texts(size: int) -> dict[str, Tensor]:
    """Return texts of 1 to `LONGEST` random tokens, padded by others, int64 [B, T]."""
    lengths_B1 = torch.randint(1, LONGEST + 1, (size, 1))
    mask_BT = (torch.arange(LONGEST) < lengths_B1).long()
    return {IDS: torch.randint(VOCABULARY, (size, LONGEST)), MASK: mask_BT}


def _custom(path: str, size: int) -> Tree:
    """Return the inputs that custom code draws for a number of examples."""
    draw = load(path, "inputs")
    with users_code(path, "inputs"):
        found: object = draw(size)
    if rows_of(checked_batch("inputs", found)) != size:
        problem = f"returned {rows_of(found)} rows for {size} examples"
        raise InputError("inputs", path, problem, "return a row for each")
    return found
