"""The same content in two of the four sets, which then are not as far apart as they seem.

Shape suffixes: N examples of a source.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.data import Source, Splits
from l2rw_ray.data.categories.mixed_rows import MISSING, CategoryColumn, MixedRows
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.text.texts import Texts
from l2rw_ray.trees import named_leaves

SETS = ("train", "meta", "validation", "test")
_DIGEST_BYTES = 8


@dataclass(frozen=True)
class SharedContent:
    """Two sets that share content.

    Attributes:
        first: Name of one set.
        second: Name of the other.
        count: Examples of the second that have the inputs of one of the first.
        of: Size of the second.
    """

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
        source: The source. One that is streamed has none.

    Attributes:
        of_rows: Those of its rows, uint64 [N]; None where there are none.
        of_test: Those of its own test set; None without one.
    """

    def __init__(self, source: Source) -> None:
        self.of_rows = None if source.is_streamed else _hashes(source.inputs)
        self.of_test = None if source.test_inputs is None else _hashes(source.test_inputs)

    @property
    def is_known(self) -> bool:
        """Whether there are any: inputs are in memory, and of a form that is known."""
        return self.of_rows is not None

    def shared(self, splits: Splits) -> tuple[SharedContent, ...]:
        """Return the pairs of sets that share content.

        Args:
            splits: Sets that were drawn from the source.
        """
        if self.of_rows is None:
            return ()
        own = {name: self.of_rows[getattr(splits, name).rows.numpy()] for name in SETS[:-1]}
        tested = self.of_rows if self.of_test is None else self.of_test
        hashes = {**own, "test": tested[splits.test.rows.numpy()]}
        found = list[SharedContent]()
        for place, second in enumerate(SETS):
            for first in SETS[:place]:
                count = int(np.isin(hashes[second], hashes[first]).sum())
                if count:
                    found.append(SharedContent(first, second, count, len(hashes[second])))
        return tuple(found)


def _hashes(inputs: object) -> Array | None:
    """Return a hash of each example's inputs, uint64 [N]; None where they are of no form that is known."""
    contents = _contents(inputs)
    if contents is None:
        return None
    digests = (hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest() for content in contents)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _contents(inputs: object) -> Iterable[bytes] | None:
    """Return the content of each example, N of them; None where inputs are of no form that is known."""
    if isinstance(inputs, Texts):
        return (text.encode() for text in inputs)
    if isinstance(inputs, MixedRows):
        numbers = [] if inputs.numbers_NF is None else [(row.tobytes() for row in _bytes(inputs.numbers_NF))]
        return map(b"\0".join, zip(*map(_cells, inputs.columns), *numbers, strict=True))
    leaves = [leaf for _, leaf in named_leaves(inputs) if not isinstance(leaf, Tensor) or leaf.ndim]
    if not leaves or not all(isinstance(leaf, Tensor) for leaf in leaves):
        return None
    rows = ((row.tobytes() for row in _bytes(leaf)) for leaf in leaves)
    return map(b"".join, zip(*rows, strict=True))


def _cells(column: CategoryColumn) -> Iterator[bytes]:
    """Return the value of each row of a column, since tables number values in different ways."""
    values = [value.encode() for value in column.values]
    return (b"" if code == MISSING else values[code] for code in column.codes_N.tolist())


def _bytes(leaf: Tensor) -> Array:
    """Return the content of each example, uint8 [N, bytes]."""
    flat = leaf.detach().cpu().contiguous().reshape(len(leaf), -1)
    flat = flat + 0.0 if flat.is_floating_point() else flat  # −0 equals 0
    content: Array = flat.view(torch.uint8).numpy()
    return content
