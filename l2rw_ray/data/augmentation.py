"""Random flips and crops of a batch of images, drawn for the whole batch and made on its device."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.errors import DataError
from l2rw_ray.trees import Tree

FLIP, CROP = "flip", "crop"
PADDING = 4
"""Pixels of black on each side that a crop is taken from, as in He et al. 2016, section 4.2."""


def draw_changes(
    kinds: Sequence[str], seed: int, epoch: int, step: int, count: int, purpose: str = "augment"
) -> Tensor:
    """Draw the change to each image of a train batch; a function of its arguments alone.

    Changes are drawn for the batch of all ranks together, and each rank takes its share: W ranks see what one
    process sees.

    Args:
        kinds: `flip`, `crop`, or both.
        seed: The trial's seed.
        epoch: Passes before this one.
        step: Steps of this pass before this one.
        count: B, images on all ranks together.
        purpose: Names the stream of draws.

    Returns:
        int64 [B, 3]: rows and columns that the image is moved by, and whether it is mirrored.
    """
    generator = rng_for(seed, purpose, epoch, step)
    moves_B2 = torch.randint(-PADDING, PADDING + 1, (count, 2), generator=generator)
    mirrored_B1 = torch.randint(2, (count, 1), generator=generator)
    return torch.cat([moves_B2 * (CROP in kinds), mirrored_B1 * (FLIP in kinds)], dim=1)


def check_images(kinds: Sequence[str], inputs: Tree) -> None:
    """Check that examples that are to be augmented are images.

    Raises:
        DataError: Augmentation is asked for, and the inputs are features or a tree.
    """
    if not kinds or (isinstance(inputs, Tensor) and inputs.dtype == torch.uint8):
        return
    found = "feature vectors" if isinstance(inputs, Tensor) else f"a {type(inputs).__name__}, not images"
    raise DataError("trial.data.augment", list(kinds), f"inputs are {found}", "leave it out")


def augmented(images: Tensor, changes_B3: Tensor) -> Tensor:
    """Return the images shifted, with black padding, and then mirrored where that was drawn.

    Args:
        images: uint8 [B, C, H, W].
        changes_B3: As of `draw_changes`, on any device.

    Returns:
        New images, uint8 [B, C, H, W].
    """
    changes_B3 = changes_B3.to(images.device)
    height, width = images.shape[-2:]
    rows_BH = _places(height, images.device) - changes_B3[:, :1]
    columns_W = _places(width, images.device)
    columns_BW = torch.where(changes_B3[:, 2:].bool(), columns_W.flip(0), columns_W) - changes_B3[:, 1:2]
    places_BP = (rows_BH[:, :, None] * (width + 2 * PADDING) + columns_BW[:, None, :]).flatten(1)
    padded = functional.pad(images, [PADDING] * 4).flatten(2)
    return padded.gather(2, places_BP[:, None].expand(-1, images.shape[1], -1)).reshape(images.shape)


def _places(side: int, device: torch.device) -> Tensor:
    """Return the positions of an image's rows or columns in the padded image."""
    return torch.arange(side, device=device) + PADDING
