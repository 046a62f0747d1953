from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from l2rw_ray.errors import InputError
from l2rw_ray.report.sample_images import draw_samples


@pytest.mark.parametrize(("classes", "channels"), [(2, 3), (45, 1)])
def test_every_class_has_its_images(tmp_path: Path, classes: int, channels: int) -> None:
    shades = np.linspace(30, 220, classes).astype(np.uint8)
    images = [[np.full((4, 6, channels), shade, dtype=np.uint8)] * 2 for shade in shades]
    path = tmp_path / "new" / "by_seed.png"
    draw_samples([f"class {number}" for number in range(classes)], images, path)
    with Image.open(path) as written:
        drawn = np.asarray(written.convert("RGB"))
    grey = drawn[(drawn == drawn[..., :1]).all(axis=2)][:, 0]
    least = 0.5 * grey.size * (0.3 / classes)
    assert all((grey == shade).sum() > least for shade in shades)


def test_a_class_without_images_and_a_long_name_are_drawn(tmp_path: Path) -> None:
    draw_samples(["none", "n" * 60], [[], [np.zeros((4, 4, 1), dtype=np.uint8)]], tmp_path / "by_seed.png")


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another folder") as caught:
        draw_samples(["a"], [[np.zeros((4, 4, 1), dtype=np.uint8)]], tmp_path / "file" / "by_seed.png")
    assert "\n" not in str(caught.value)
