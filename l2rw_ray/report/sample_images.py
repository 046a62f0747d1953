"""A plot with a few images of each class of a data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from l2rw_ray.errors import InputError
from l2rw_ray.report.document.style import drawing

_IMAGE_INCHES, _NAME_INCHES, _ROWS = 0.7, 1.3, 20
_GAP = 0.08
"""Gap between images, relative to their size."""
_LONGEST_NAME = 18
Image = np.ndarray[Any, Any]


def draw_samples(class_names: Sequence[str], images: Sequence[Sequence[Image]], path: Path) -> None:
    """Draw a row of images for each class, with its name; many classes fill several columns.

    Args:
        class_names: Name of each class.
        images: Images of each class, uint8 [H, W, 1 or 3].
        path: PNG file to write.

    Raises:
        InputError: The file cannot be written.
    """
    most = max(len(row) for row in images)
    columns = -(-len(images) // _ROWS)
    rows = -(-len(images) // columns)
    height, width = next(image.shape[:2] for row in images for image in row)
    aspect = height / width
    column_inches = _NAME_INCHES + most * _IMAGE_INCHES
    size = columns * column_inches + 0.1, rows * _IMAGE_INCHES * aspect + 0.1
    with drawing():
        figure = Figure(figsize=size)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, size[0])
        axes.set_ylim(size[1], 0)
        axes.axis("off")
        for number, (name, row) in enumerate(zip(class_names, images, strict=True)):
            left = number // rows * column_inches
            top = number % rows * _IMAGE_INCHES * aspect + 0.05
            middle = top + _IMAGE_INCHES * aspect / 2
            axes.text(left + _NAME_INCHES - 0.1, middle, _short(name), ha="right", va="center", fontsize=8)
            for place, image in enumerate(row):
                x = left + _NAME_INCHES + place * _IMAGE_INCHES
                axes.imshow(
                    np.broadcast_to(image, (*image.shape[:2], 3)),
                    extent=(
                        x,
                        x + _IMAGE_INCHES * (1 - _GAP),
                        top + _IMAGE_INCHES * aspect * (1 - _GAP),
                        top,
                    ),
                    interpolation="nearest",
                )
        axes.set_xlim(0, size[0])
        axes.set_ylim(size[1], 0)
        axes.set_aspect("auto")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=150)
        except OSError as error:
            reason = (error.strerror or "cannot be written").lower()
            raise InputError("--out", path, reason, "choose another folder") from error


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
