from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from l2rw_ray.config.data.sources import ImageFolderData
from l2rw_ray.data import Source, load_source
from l2rw_ray.data.source import NO_CLASS
from l2rw_ray.errors import DataError


def load(train: Path, **fields) -> Source:
    return load_source(ImageFolderData(source="image_folder", train=str(train), **fields))


def complaint(train: Path, **fields) -> str:
    with pytest.raises(DataError) as caught:
        load(train, **fields)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path, pixels) -> Path:
    """Two newts, then one cat in the order of `pixels`; the cat is in a folder of its folder."""
    for name, image in (("newt/b.png", 0), ("newt/c.PNG", 1), ("cat/deep/a.png", 2)):
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[image]).save(path)
    (tmp_path / "train" / "newt" / "notes.txt").write_text("no image")
    (tmp_path / "train" / "newt" / ".hidden.png").write_text("no image")
    return tmp_path / "train"


def channels_first(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())


def test_folders_are_classes_in_sorted_order(folder, pixels) -> None:
    source = load(folder)
    assert source.class_names == ("cat", "newt")
    assert source.labels.tolist() == [0, 1, 1]
    assert source.labels.dtype == torch.int64
    assert torch.equal(source.inputs, channels_first(pixels[[2, 0, 1]]))
    assert source.test_inputs is None


def test_the_same_images_as_torchvision(folder) -> None:
    from torchvision.datasets import ImageFolder

    (folder / "newt" / ".hidden.png").unlink()
    theirs, own = ImageFolder(str(folder)), load(folder)
    assert tuple(theirs.classes) == own.class_names
    assert [label for _, label in theirs] == own.labels.tolist()
    for (image, _), mine in zip(theirs, own.inputs, strict=True):
        assert np.array_equal(np.asarray(image), mine.permute(1, 2, 0).numpy())


def test_a_test_folder_uses_the_train_folders_classes(folder, tmp_path, pixels) -> None:
    (tmp_path / "test" / "newt").mkdir(parents=True)
    Image.fromarray(pixels[3]).save(tmp_path / "test" / "newt" / "x.png")
    source = load(folder, test=str(tmp_path / "test"))
    assert torch.equal(source.test_inputs, channels_first(pixels[[3]]))
    assert source.test_labels.tolist() == [1]
    (tmp_path / "test" / "newt").rename(tmp_path / "test" / "dog")
    assert "its folder dog is none of the 2 classes of train; use cat, newt" in complaint(
        folder, test=str(tmp_path / "test")
    )


def test_images_are_resized(folder, pixels) -> None:
    source = load(folder, image_size=[3, 6])
    resized = Image.fromarray(pixels[2]).resize((6, 3), Image.Resampling.BILINEAR)
    assert source.inputs.shape == (3, 3, 3, 6)
    assert np.array_equal(source.inputs[0].permute(1, 2, 0).numpy(), np.asarray(resized))


def test_several_sizes_are_named_with_the_remedy(folder, pixels) -> None:
    odd = folder / "newt" / "d.png"
    Image.fromarray(pixels[0][:3]).save(odd)
    for bad_rows in ("error", "skip"):
        message = complaint(folder, bad_rows=bad_rows)
        assert (
            f"{odd} has shape (3, 3, 4), the first image has (3, 5, 4); set trial.data.image_size" in message
        )
    assert load(folder, image_size=[4, 4]).inputs.shape == (4, 3, 4, 4)


def test_a_truncated_image_is_named_or_skipped(folder, pixels) -> None:
    bad = folder / "cat" / "deep" / "a.png"
    bad.write_bytes(bad.read_bytes()[:60])
    assert f"{bad} is no readable image; fix it, drop it" in complaint(folder)
    Image.fromarray(pixels[4]).save(folder / "cat" / "z.png")
    for _ in range(2):  # decoded, then from the cache
        source = load(folder, bad_rows="skip")
        assert source.labels.tolist() == [0, 1, 1]
        assert torch.equal(source.inputs, channels_first(pixels[[4, 0, 1]]))
        assert source.skipped_rows == 1
        assert source.skipped[0].first == f"{folder}: {bad} is no readable image"


def test_where_no_image_can_be_read_there_is_nothing_to_skip(tmp_path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.png").write_bytes(b"")
    assert "and none of the 1 is" in complaint(tmp_path, bad_rows="skip")


def test_what_was_decoded_is_not_decoded_again(folder, monkeypatch) -> None:
    first = load(folder)
    monkeypatch.setattr("l2rw_ray.data.images.files.decode_all", None)
    assert torch.equal(load(folder).inputs, first.inputs)
    (folder / "newt" / "b.png").touch()
    with pytest.raises(TypeError):
        load(folder)


def test_missing_and_empty_folders_are_refused(tmp_path, folder) -> None:
    assert "no such folder" in complaint(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "no class folders there" in complaint(tmp_path / "empty")
    (folder / "dog").mkdir()
    assert "no image in its class folder dog; remove it, or put images there (.bmp" in complaint(folder)


@pytest.fixture
def write(tmp_path, pixels):
    """Writes images of `pixels` to paths below a folder."""

    def to(*images: tuple[str, int]) -> None:
        for name, image in images:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[image]).save(tmp_path / name)

    return to


def test_a_trusted_folder_holds_verified_images_beside_those_of_train(
    folder, tmp_path, write, pixels
) -> None:
    write(("trusted/cat/d.png", 3), ("trusted/newt/e.png", 4))
    source = load(folder, trusted=str(tmp_path / "trusted"))
    assert torch.equal(source.inputs, channels_first(pixels[[2, 0, 1, 3, 4]]))
    assert source.labels.tolist() == [0, 1, 1, 0, 1]
    assert source.verified.tolist() == [False, False, False, True, True]
    assert source.train_labels.tolist() == [0, 1, 1, NO_CLASS, NO_CLASS]
    assert list(source.ids)[2:4] == ["train/newt/c.PNG", "trusted/cat/d.png"]


def test_folders_of_fixed_sets_are_pools_of_their_own(folder, tmp_path, write) -> None:
    write(("meta/cat/d.png", 3), ("meta/newt/e.png", 4), ("validation/cat/f.png", 5), ("test/newt/g.png", 6))
    named = {name: str(tmp_path / name) for name in ("meta", "validation", "test")}
    source = load(folder, **named)
    assert dict(source.pools) == {"meta": range(3, 5), "validation": range(5, 6)}
    assert source.verified.tolist() == [False] * 3 + [True] * 3
    assert list(source.test_ids) == ["test/newt/g.png"]
    noisy = load(folder, **named, validation_labels="given")
    assert noisy.verified.tolist() == [False] * 3 + [True] * 2 + [False]
    assert noisy.train_labels.tolist() == [0, 1, 1, NO_CLASS, NO_CLASS, 0]
    alone = load(folder, validation=named["validation"])
    assert alone.verified is None, "nothing says that labels of train are not right"


def test_an_image_in_two_folders_is_an_error(folder) -> None:
    with pytest.raises(DataError, match=r"trusted = .*: its folder deep is none of the 2 classes of train"):
        load(folder, trusted=str(folder / "cat"))
    with pytest.raises(DataError, match=r"meta = .*: its image .*a.png is in train, too; move it out of one"):
        load(folder, meta=str(folder) + "/../train")


def test_numbered_folders_are_in_the_order_of_their_numbers(tmp_path, write) -> None:
    write(*((f"train/{name}/a.png", name) for name in (0, 1, 2, 10, 11)))
    source = load(tmp_path / "train")
    assert source.class_names == ("0", "1", "2", "10", "11")
    assert source.class_index(2) == source.class_index("2") == 2
    assert source.class_index(10) == source.class_index("10") == 3


def test_files_that_are_left_out_are_named(folder, tmp_path, write) -> None:
    (warning,) = load(folder).warnings
    notes = folder / "newt" / "notes.txt"
    assert warning == f"1 file is left out in the folder of train, such as {notes}, without an image's ending"
    write(("train/a.png", 0))
    assert (
        f"2 files are left out in the folder of train, such as {folder}/a.png, beside"
        in load(folder).warnings[0]
    )
    notes.unlink()
    (folder / "a.png").unlink()
    assert load(folder).warnings == ()


def test_folders_that_look_alike_are_named(tmp_path, write) -> None:
    write(("train/cat/a.png", 0), ("train/cat /b.png", 1), ("train/dog/c.png", 2))
    assert load(tmp_path / "train").warnings == ("classes 'cat', 'cat ' differ only in how they are written",)


def test_one_grey_image_turns_no_other_grey(folder, pixels) -> None:
    Image.fromarray(pixels[3][..., 0]).save(folder / "cat" / "a.png")
    source = load(folder)
    assert source.inputs.shape == (4, 3, 5, 4)
    assert torch.equal(source.inputs[2:], channels_first(pixels[:2]))
    assert load(folder, image_mode="grey").inputs.shape == (4, 1, 5, 4)
