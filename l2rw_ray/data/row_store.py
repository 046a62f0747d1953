"""Inputs that no tensor holds, since examples differ in length."""

from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor

from l2rw_ray.trees import Shapes, Tree, map_tensors, shapes_of


class RowStore(ABC):
    """Examples by row, N of them, in the place of a tensor or a tree of tensors [N, …]."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def shape(self) -> Shapes:
        """Largest shape of one example, as a model gets it."""

    @abstractmethod
    def take(self, rows_K: Tensor) -> Any:
        """Return some rows in the form in which they are used, such as a batch.

        Args:
            rows_K: Their numbers, int64 [K].
        """

    @abstractmethod
    def select(self, rows_K: Tensor) -> Self:
        """Return a store of only some rows, in that order.

        Args:
            rows_K: Their numbers, int64 [K].
        """

    def to(self, device: torch.device) -> Self:
        """Return the store on a device."""
        return self


def take_rows(inputs: Tree | RowStore, rows_K: Tensor) -> Any:
    """Return a copy of some rows of inputs."""
    if isinstance(inputs, RowStore):
        return inputs.take(rows_K)
    return map_tensors(inputs, lambda tensor: tensor.index_select(0, rows_K))


def select_rows(inputs: Tree | RowStore, rows_K: Tensor) -> Any:
    """Return inputs of the same kind with only some rows."""
    if isinstance(inputs, RowStore):
        return inputs.select(rows_K)
    return map_tensors(inputs, lambda tensor: tensor[rows_K])


def shape_of_one(inputs: Tree | RowStore) -> Shapes:
    """Return the shape of one example; of a tree a dict or tuple of those of its parts."""
    return inputs.shape if isinstance(inputs, RowStore) else shapes_of(inputs)


def moved(inputs: Tree | RowStore, device: torch.device) -> Any:
    """Return inputs on a device."""
    if isinstance(inputs, RowStore):
        return inputs.to(device)
    return map_tensors(inputs, lambda tensor: tensor.to(device))
