"""A few images of each class, to look at."""

import torch
from torch import Tensor

from l2rw_ray.data.source import Source
from l2rw_ray.data.tables.bad_rows import Array


def sample_images(source: Source, per_class: int) -> tuple[tuple[Array, ...], ...] | None:
    """Return images of each class, evenly spread over its rows.

    Args:
        source: What `load_source` returned.
        per_class: How many at most.

    Returns:
        For each class its images, uint8 [H, W, C]; None where examples are no images.
    """
    if not isinstance(source.inputs, Tensor) or source.inputs.dtype != torch.uint8:
        return None
    samples = []
    for label in range(len(source.class_names)):
        rows = (source.labels == label).nonzero().flatten()
        count = min(per_class, len(rows))
        places = (torch.arange(count) * 2 + 1) * len(rows) // max(2 * count, 1)
        samples.append(tuple(image.permute(1, 2, 0).numpy() for image in source.take(rows[places])))
    return tuple(samples)
