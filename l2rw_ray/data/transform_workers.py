"""Take images from their store and transform them, in processes that work ahead of the training.

Shape suffixes: B batch, S store.
"""

import warnings
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from l2rw_ray.data.transforms import ImageTransforms


class ImageRequest(NamedTuple):
    """The images of one batch.

    Attributes:
        images: Places in the store, int64 [B], or images that were read already, uint8 [B, C, H, W].
        seeds_B: As of `draw_seeds`; None for images that are evaluated.
    """

    images: Tensor
    seeds_B: Tensor | None


@dataclass(frozen=True)
class ImageStore(Dataset[Tensor]):
    """Images on the CPU and what changes them, in the form that a `DataLoader` reads.

    Attributes:
        images: uint8 [S, C, H, W].
        transforms: Their transforms.
    """

    images: Tensor
    transforms: ImageTransforms

    def __getitem__(self, request: ImageRequest) -> Tensor:
        """Return images transformed, uint8 [B, C, H', W'], a function of the request alone."""
        images, seeds_B = request
        if images.dtype == torch.int64:
            images = self.images.index_select(0, images)
        if seeds_B is None:
            return self.transforms.evaluated(images)
        return self.transforms.augmented(images, seeds_B)


def transformed_images(
    store: ImageStore, requests: Iterable[ImageRequest], num_workers: int
) -> Generator[Tensor]:
    """Yield the images of each request, uint8 [B, C, H', W'], in order.

    Processes are forked, so that they share the store. They end with the iteration, also when it is closed
    early. The global generators stay as they are.

    Args:
        store: Where images are, and their transforms.
        requests: Two for each process are asked for ahead.
        num_workers: Processes; 0 transforms in this one, when images are asked for.
    """
    if not num_workers:
        yield from map(store.__getitem__, requests)
        return
    loader = DataLoader(
        store,
        batch_size=None,
        sampler=requests,
        num_workers=num_workers,
        multiprocessing_context="fork",
        generator=torch.Generator(),  # of the seeds of its processes, which nothing draws from
    )
    with warnings.catch_warnings():  # they make no use of this process's threads
        warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)
        images = iter(loader)
    yield from images
