from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from l2rw_ray.config.data.sources import Ham10000Data
from l2rw_ray.data import Source, load_source
from l2rw_ray.errors import DataError

ROWS = ["HAM_1,I_0,nv", "HAM_2,I_1,bkl", "HAM_1,I_2,nv", "HAM_0,I_3,mel"]


def load(root: Path, **fields) -> Source:
    return load_source(Ham10000Data(source="ham10000", root=str(root), **fields))


def complaint(root: Path, **fields) -> str:
    with pytest.raises(DataError) as caught:
        load(root, **fields)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(root: Path, *rows: str) -> None:
    (root / "HAM10000_metadata.csv").write_text("\n".join(["lesion_id,image_id,dx", *rows]) + "\n")


@pytest.fixture
def root(tmp_path, pixels) -> Path:
    """The published form: two folders of images, here one of 10×8 pixels in each colour."""
    for number in range(4):
        folder = tmp_path / f"HAM10000_images_part_{number % 2 + 1}"
        folder.mkdir(exist_ok=True)
        image = np.full((8, 10, 3), 60 * number, dtype=np.uint8)
        Image.fromarray(image).save(folder / f"I_{number}.jpg")
    write(tmp_path, *ROWS)
    return tmp_path


def test_images_diagnoses_and_lesions(root) -> None:
    source = load(root)
    assert source.inputs.shape == (4, 3, 28, 28)
    assert (source.inputs.float() - 60 * torch.arange(4).reshape(4, 1, 1, 1)).abs().max() < 5
    assert source.class_names == ("bkl", "mel", "nv")
    assert source.labels.tolist() == [2, 0, 2, 1]
    assert source.groups.tolist() == [1, 2, 1, 0]


def test_one_folder_does_too_and_the_size_is_free(root) -> None:
    for path in sorted(root.glob("*/*.jpg")):
        path.rename(root / path.name)
    assert load(root, image_size=None).inputs.shape == (4, 3, 8, 10)


def test_a_missing_image_is_named_or_skipped(root) -> None:
    (root / "HAM10000_images_part_2" / "I_1.jpg").unlink()
    assert (
        f"column = 'image_id': I_1.jpg of row 1 of {root / 'HAM10000_metadata.csv'} is not there"
        in complaint(root)
    )
    source = load(root, bad_rows="skip")
    assert source.class_names == ("mel", "nv")
    assert source.groups.tolist() == [1, 1, 0]
    assert source.skipped_rows == 1


def test_a_truncated_image_is_named(root) -> None:
    bad = root / "HAM10000_images_part_1" / "I_2.jpg"
    bad.write_bytes(bad.read_bytes()[:300])
    message = complaint(root)
    assert f"{bad} (row 2 of HAM10000_metadata.csv) is no readable image" in message
    assert load(root, bad_rows="skip").labels.tolist() == [2, 0, 1]


def test_bad_metadata_are_named(root) -> None:
    write(root, *ROWS[:3], "HAM_0,I_3,wart")
    assert "column = 'dx': wart in row 3 of" in complaint(root)
    write(root, *ROWS[:3], ",I_3,mel")
    assert "column = 'lesion_id': null in row 3 of" in complaint(root)
    (root / "HAM10000_metadata.csv").write_text("lesion,image_id,dx\nHAM_0,I_0,mel\n")
    assert "column = 'lesion_id': no such column in" in complaint(root)
    (root / "HAM10000_metadata.csv").unlink()
    assert "holds no HAM10000_metadata.csv; to get it: doi:" in complaint(root)
