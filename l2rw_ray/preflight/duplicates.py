"""The same content in two of the four sets, which then are not as far apart as they seem.

Shape suffixes: N examples of a source.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.data import Source, Splits
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.text.texts import Texts
from l2rw_ray.trees import named_leaves

SETS = ("train", "meta", "validation", "test")
_DIGEST_BYTES = 8


class SharedContent(NamedTuple):
    """Two sets that share content: how many examples of the second have the inputs of one of the first."""

    first: str
    second: str
    count: int
    of: int

    @property
    def text(self) -> str:
        """The numbers in words."""
        return (
            f"{self.count:,} of {self.of:,} {self.second} examples have the inputs of a {self.first} example"
        )


class ContentHashes:
    """Hashes of the inputs of a source, one per example.

    Args:
        source: The source. One whose images are streamed has none.
    """

    def __init__(self, source: Source) -> None:
        streamed = source.stored is not None and not source.stored.in_memory
        self._own = None if streamed else _hashes(source.inputs)
        self._test = None if source.test_inputs is None else _hashes(source.test_inputs)

    @property
    def is_known(self) -> bool:
        """Whether there are any: inputs are in memory, and tensors or texts."""
        return self._own is not None

    def shared(self, splits: Splits) -> tuple[SharedContent, ...]:
        """Return the pairs of sets that share content.

        Args:
            splits: Sets that were drawn from the source.
        """
        if self._own is None:
            return ()
        own = {name: self._own[getattr(splits, name).rows.numpy()] for name in SETS[:-1]}
        tested = self._own if self._test is None else self._test
        hashes = {**own, "test": tested[splits.test.rows.numpy()]}
        found = list[SharedContent]()
        for place, second in enumerate(SETS):
            for first in SETS[:place]:
                count = int(np.isin(hashes[second], hashes[first]).sum())
                if count:
                    found.append(SharedContent(first, second, count, len(hashes[second])))
        return tuple(found)


def _hashes(inputs: object) -> Array | None:
    """Return a hash of each example's inputs, uint64 [N]; None where they are neither tensors nor texts."""
    contents: Iterable[bytes]
    if isinstance(inputs, Texts):
        contents = (text.encode() for text in inputs)
    else:
        leaves = [leaf for _, leaf in named_leaves(inputs) if not isinstance(leaf, Tensor) or leaf.ndim]
        if not leaves or not all(isinstance(leaf, Tensor) for leaf in leaves):
            return None
        parts = zip(*map(_bytes, leaves), strict=True)
        contents = (b"".join(row.tobytes() for row in example) for example in parts)
    digests = (hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest() for content in contents)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _bytes(leaf: Tensor) -> Array:
    """Return the content of each example, uint8 [N, bytes]."""
    flat = leaf.detach().cpu().contiguous().reshape(len(leaf), -1)
    flat = flat + 0.0 if flat.is_floating_point() else flat  # −0 equals 0
    content: Array = flat.view(torch.uint8).numpy()
    return content
