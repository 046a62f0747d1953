"""Decoding of one image: the orientation that its EXIF data say."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from l2rw_ray.data.images.decoding import ImageDecoder

DECODER = ImageDecoder("trial.data.image", "image", str, "set trial.data.image_size")


def stored(pixels: np.ndarray, form: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", range(10))
def test_images_are_turned_upright(pixels: np.ndarray, form: str, orientation: int) -> None:
    data = stored(pixels[0], form, orientation)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert (upright.shape == (4, 5, 3)) == (orientation in (5, 6, 7, 8))
    assert np.array_equal(DECODER.decode(0, data), upright.transpose(2, 0, 1))


def test_broken_exif_data_are_no_broken_image(pixels: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(pixels[0]).save(file, "PNG", exif=b"Exif\x00\x00MM\x00*\xff")
    assert np.array_equal(DECODER.decode(0, file.getvalue()), pixels[0].transpose(2, 0, 1))
