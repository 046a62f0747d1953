"""A few images or texts of each class, to look at."""

import torch
from torch import Tensor

from l2rw_ray.data.source import Source
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.text.texts import Texts


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
    chosen = _rows_of_classes(source, per_class)
    return tuple(tuple(image.permute(1, 2, 0).numpy() for image in source.take(rows)) for rows in chosen)


def sample_texts(source: Source, per_class: int) -> tuple[tuple[str, ...], ...] | None:
    """Return texts of each class as `sample_images` does; None where examples are no texts."""
    if not isinstance(source.inputs, Texts):
        return None
    return tuple(tuple(source.take(rows)) for rows in _rows_of_classes(source, per_class))


def _rows_of_classes(source: Source, per_class: int) -> list[Tensor]:
    """Return some rows of each class, evenly spread over all of its own, int64 [K] each."""
    chosen = []
    for label in range(len(source.class_names)):
        rows = (source.labels == label).nonzero().flatten()
        count = min(per_class, len(rows))
        places = (torch.arange(count) * 2 + 1) * len(rows) // max(2 * count, 1)
        chosen.append(rows[places])
    return chosen
