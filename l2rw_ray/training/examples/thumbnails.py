"""Thumbnails of examples, for a list that is read where their data are out of reach.

Shape suffixes: K examples.
"""

import io

import torch
from PIL import Image
from torch import Tensor

from l2rw_ray.data import ExampleSet, ReadParts, read_here, whole_pass

MAX_PIXELS = 96
"""Largest height and width of a thumbnail."""


def thumbnails(examples: ExampleSet, index_K: Tensor, read_parts: ReadParts = read_here) -> dict[int, bytes]:
    """Return images of a set as PNG of `MAX_PIXELS` at most, by position; nothing of other inputs.

    Args:
        examples: The set; it may be streamed.
        index_K: Positions in the set, each once, int64.
        read_parts: Reads the images of a streamed set.
    """
    if not _has_images(examples):
        return {}
    found = {}
    for index_B, images in whole_pass(examples, index_K, read_parts):
        for place, pixels in zip(index_B.tolist(), images.cpu(), strict=True):
            found[place] = _png(pixels)
    return found


def _has_images(examples: ExampleSet) -> bool:
    inputs = examples.inputs
    if not isinstance(inputs, Tensor) or inputs.dtype != torch.uint8:
        return False
    return inputs.ndim == 4 and inputs.shape[1] in (1, 3)


def _png(pixels: Tensor) -> bytes:
    """Return one image, uint8 [1 or 3, H, W], as PNG."""
    array = pixels.permute(1, 2, 0).contiguous().numpy()
    image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    image.thumbnail((MAX_PIXELS, MAX_PIXELS))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
