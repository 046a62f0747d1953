import hashlib
import pickle
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch

from l2rw_ray.config.data.sources import Cifar10Data, Cifar100Data, FashionMnistData, MnistData
from l2rw_ray.data import load_source
from l2rw_ray.errors import DataError

PIXELS = np.arange(2 * 32 * 32 * 3, dtype=np.uint8).reshape(2, 32, 32, 3)


class FakeCifar10:
    """Two images per file; there once the folder is, which a download makes."""

    failure: Exception | None = None

    def __init__(self, root: Path, train: bool, download: bool = False) -> None:
        if download and self.failure:
            raise self.failure
        folder = Path(root) / "cifar-10-batches-py"
        if download:
            folder.mkdir()
        if not folder.is_dir():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        self.data = PIXELS if train else PIXELS[::-1].copy()
        self.targets = [3, 5] if train else [5, 3]
        self.classes = [f"name{index}" for index in range(10)]


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr("torchvision.datasets.CIFAR10", type("Fake", (FakeCifar10,), {}))
    import torchvision.datasets

    return torchvision.datasets.CIFAR10


def test_images_become_channels_first_bytes(fake, tmp_path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    source = load_source(Cifar10Data(source="cifar10", root=str(tmp_path)))
    assert source.inputs.dtype == torch.uint8
    assert torch.equal(source.inputs, torch.from_numpy(PIXELS.transpose(0, 3, 1, 2).copy()))
    assert torch.equal(source.test_inputs, source.inputs.flip(0))
    assert source.labels.dtype == torch.int64
    assert source.labels.tolist() == [3, 5]
    assert source.test_labels.tolist() == [5, 3]
    assert source.class_names[9] == "name9"


def test_home_is_expanded(fake, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data" / "cifar-10-batches-py").mkdir(parents=True)
    assert len(load_source(Cifar10Data(source="cifar10")).labels) == 2


def test_a_missing_folder_is_one_line_that_says_how_to_get_it(tmp_path) -> None:
    with pytest.raises(DataError) as caught:
        load_source(Cifar10Data(source="cifar10", root=str(tmp_path)))
    message = str(caught.value)
    assert "\n" not in message
    for part in ("trial.data.root", "cifar-10-batches-py", "trial.data.download to true", "source parquet"):
        assert part in message


def test_a_download_ends_in_the_root_and_leaves_nothing_else(fake, tmp_path) -> None:
    config = Cifar10Data(source="cifar10", root=str(tmp_path / "new"), download=True)
    assert load_source(config).labels.tolist() == [3, 5]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["cifar-10-batches-py"]


def test_what_is_there_is_not_downloaded_again(fake, tmp_path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    fake.failure = AssertionError("downloaded")
    load_source(Cifar10Data(source="cifar10", root=str(tmp_path), download=True))


@pytest.mark.parametrize("failure", [URLError("no network"), RuntimeError("File not found or corrupted.")])
def test_a_failed_download_is_one_line(fake, tmp_path, failure) -> None:
    fake.failure = failure
    with pytest.raises(
        DataError, match=r"trial\.data\.download = True: the download into .* by hand"
    ) as caught:
        load_source(Cifar10Data(source="cifar10", root=str(tmp_path), download=True))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def write_idx(path: Path, array: np.ndarray) -> None:
    """MNIST's own format: two zero bytes, the type, the dimensions, their sizes, the values."""
    sizes = np.array(array.shape, dtype=">i4").tobytes()
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes())


def write_mnist(root: Path, folder: str, labels: list[int]) -> np.ndarray:
    """A whole copy with as many train as test images; returns the train images."""
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    images = np.arange(len(labels) * 28 * 28).reshape(-1, 28, 28) % 251
    for part, content in (("train", images), ("t10k", images[::-1])):
        write_idx(raw / f"{part}-images-idx3-ubyte", content)
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.array(labels))
    return images.astype(np.uint8)


@pytest.mark.parametrize(
    ("section", "folder", "name"),
    [(MnistData, "MNIST", "3 - three"), (FashionMnistData, "FashionMNIST", "Dress")],
)
def test_grey_digits_and_clothes(tmp_path, section, folder, name) -> None:
    images = write_mnist(tmp_path, folder, [3, 5])
    source = load_source(
        section(source=section.model_fields["source"].annotation.__args__[0], root=str(tmp_path))
    )
    assert torch.equal(source.inputs, torch.from_numpy(images).unsqueeze(1))
    assert torch.equal(source.test_inputs, source.inputs.flip(0))
    assert source.labels.tolist() == source.test_labels.tolist() == [3, 5]
    assert source.labels.dtype == torch.int64
    assert source.class_names[3] == name


def write_cifar100(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images per file, with the checksums that torchvision compares."""
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    rows = PIXELS.transpose(0, 3, 1, 2).reshape(2, -1)
    contents = {
        "train": {"data": rows, "fine_labels": [3, 99]},
        "test": {"data": rows[::-1], "fine_labels": [99, 3]},
        "meta": {"fine_label_names": [f"name{index}" for index in range(100)]},
    }
    sums = {}
    for name, content in contents.items():
        packed = pickle.dumps(content)
        (folder / name).write_bytes(packed)
        sums[name] = hashlib.md5(packed).hexdigest()
    monkeypatch.setattr("torchvision.datasets.CIFAR100.train_list", [["train", sums["train"]]])
    monkeypatch.setattr("torchvision.datasets.CIFAR100.test_list", [["test", sums["test"]]])
    meta = {"filename": "meta", "key": "fine_label_names", "md5": sums["meta"]}
    monkeypatch.setattr("torchvision.datasets.CIFAR100.meta", meta)


def test_a_hundred_classes(tmp_path, monkeypatch) -> None:
    write_cifar100(tmp_path, monkeypatch)
    source = load_source(Cifar100Data(source="cifar100", root=str(tmp_path)))
    assert torch.equal(source.inputs, torch.from_numpy(PIXELS.transpose(0, 3, 1, 2).copy()))
    assert source.labels.tolist() == [3, 99]
    assert source.test_labels.tolist() == [99, 3]
    assert source.class_names[99] == "name99"


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("left", [-100, 100, 9, 3, 0])
def test_a_damaged_copy_is_one_line_and_not_downloaded_over(tmp_path, download, left) -> None:
    write_mnist(tmp_path, "MNIST", [3, 5])
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:left])
    config = MnistData(source="mnist", root=str(tmp_path), download=download)
    with pytest.raises(
        DataError, match=r"trial\.data\.root = .*: holds no whole MNIST \(.*remove MNIST"
    ) as caught:
        load_source(config)
    assert "\n" not in str(caught.value)


def test_labels_that_are_no_class_or_too_few_are_refused(tmp_path) -> None:
    write_mnist(tmp_path, "MNIST", [3, 12])
    with pytest.raises(DataError, match="label 12 in row 1 is none of the 10 classes"):
        load_source(MnistData(source="mnist", root=str(tmp_path)))
    write_idx(tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte", np.array([3]))
    with pytest.raises(DataError, match="holds 2 images and 1 labels"):
        load_source(MnistData(source="mnist", root=str(tmp_path)))


@pytest.mark.parametrize("source", ["cifar100", "mnist", "fashion_mnist"])
def test_what_is_not_there_is_one_line(tmp_path, source) -> None:
    section = {"cifar100": Cifar100Data, "mnist": MnistData, "fashion_mnist": FashionMnistData}[source]
    with pytest.raises(DataError, match=r"holds no whole .* set trial\.data\.download to true") as caught:
        load_source(section(source=source, root=str(tmp_path)))
    assert "\n" not in str(caught.value)
